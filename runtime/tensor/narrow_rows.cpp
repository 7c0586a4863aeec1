#include "tensor/narrow_rows.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>

#include <atomic>

#include "kernels/cpu_features.h"
#elif defined(__aarch64__)
#include <arm_neon.h>

#include "base/float_mode.h"
#endif

namespace halnorm::HALNORM_ABI::detail {

namespace {

template <class To, class From>
void convert_each(To* to, const From* from, std::int64_t count) noexcept {
  std::transform(from, from + count, to, convert<To, From>);
}

/// Without a branch, so that the compiler makes vectors of it: those of the function it stands in.
[[gnu::always_inline]] inline void round_each(BFloat* to, const float* from,
                                              std::int64_t count) noexcept {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(from[i]);
    const std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const std::uint32_t quiet_nan = (bits >> 16) | 0x40;
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    to[i].bits = static_cast<std::uint16_t>(is_nan ? quiet_nan : rounded);
  }
}

// Each convert_vectors() converts a multiple of the vector's elements, and returns how many.

#if defined(__x86_64__)

constexpr std::int64_t lanes = 8;

/// Asked once: in a virtual machine the question takes microseconds.
bool has_f16c() noexcept {
  static constinit std::atomic<int> known{-1};
  int answer = known.load(std::memory_order_relaxed);
  if (answer < 0) {
    answer = cpu_runs("avx2") ? 1 : 0;
    known.store(answer, std::memory_order_relaxed);
  }
  return answer == 1;
}

__attribute__((target("avx,f16c"))) std::int64_t convert_vectors(Half* to, const float* from,
                                                                 std::int64_t count) noexcept {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), half);
  }
  return i;
}

__attribute__((target("avx,f16c"))) std::int64_t convert_vectors(float* to, const Half* from,
                                                                 std::int64_t count) noexcept {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(half));
  }
  return i;
}

__attribute__((target("avx2"))) void round_by_avx2(BFloat* to, const float* from,
                                                   std::int64_t count) noexcept {
  round_each(to, from, count);
}

template <class To, class From>
std::int64_t convert_most(To* to, const From* from, std::int64_t count) noexcept {
  return has_f16c() ? convert_vectors(to, from, count) : 0;
}

#elif defined(__aarch64__)

constexpr std::int64_t lanes = 4;
constexpr std::uint64_t nearest_even = 0;  // the default mode: subnormals and NaNs are kept

std::int64_t convert_most(Half* to, const float* from, std::int64_t count) noexcept {
  const InFloatMode mode(nearest_even);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const float16x4_t half = vcvt_f16_f32(vld1q_f32(from + i));
    vst1_u16(reinterpret_cast<std::uint16_t*>(to + i), vreinterpret_u16_f16(half));
  }
  return i;
}

std::int64_t convert_most(float* to, const Half* from, std::int64_t count) noexcept {
  const InFloatMode mode(nearest_even);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const uint16x4_t half = vld1_u16(reinterpret_cast<const std::uint16_t*>(from + i));
    vst1q_f32(to + i, vcvt_f32_f16(vreinterpret_f16_u16(half)));
  }
  return i;
}

#else

template <class To, class From>
std::int64_t convert_most(To* /*to*/, const From* /*from*/, std::int64_t /*count*/) noexcept {
  return 0;
}

#endif

template <class To, class From>
void convert_halves(To* to, const From* from, std::int64_t count) noexcept {
  const std::int64_t done = convert_most(to, from, count);
  convert_each(to + done, from + done, count - done);
}

}  // namespace

void convert_row(Half* to, const float* from, std::int64_t count) noexcept {
  convert_halves(to, from, count);
}

void convert_row(float* to, const Half* from, std::int64_t count) noexcept {
  convert_halves(to, from, count);
}

void convert_row(BFloat* to, const float* from, std::int64_t count) noexcept {
#if defined(__x86_64__)
  if (has_f16c()) {
    round_by_avx2(to, from, count);
    return;
  }
#endif
  round_each(to, from, count);
}

void convert_row(float* to, const BFloat* from, std::int64_t count) noexcept {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::uint32_t{from[i].bits} << 16;
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    to[i] = std::bit_cast<float>(bits | (is_nan ? 0x400000U : 0U));
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
