#include "kernels/cpu_features.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif

namespace halnorm::HALNORM_ABI::detail {

#if defined(__x86_64__)

namespace {

/// A test by CPUID: Clang 14 does not know this feature by name.
bool has_f16c() noexcept {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace

bool cpu_runs(std::string_view target) noexcept {
  __builtin_cpu_init();
  const bool sse41 = __builtin_cpu_supports("sse4.1") != 0;
  if (target == "sse41") {
    return sse41;
  }
  const bool avx2 = sse41 && __builtin_cpu_supports("avx2") != 0 &&
                    __builtin_cpu_supports("fma") != 0 && has_f16c();
  if (target == "avx2") {
    return avx2;
  }
  return target == "avx512" && avx2 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

namespace {

/// The largest cache that a leaf of CPUID lists; AMD's and Intel's leaves have one form.
std::int64_t largest_cache(unsigned leaf) noexcept {
  std::int64_t largest = 0;
  constexpr unsigned most = 16;
  for (unsigned i = 0; i < most; ++i) {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid_count(leaf, i, &eax, &ebx, &ecx, &edx) == 0 || (eax & 0x1f) == 0) {
      break;
    }
    const std::int64_t ways = (ebx >> 22) + 1;
    const std::int64_t partitions = ((ebx >> 12) & 0x3ff) + 1;
    const std::int64_t line = (ebx & 0xfff) + 1;
    largest = std::max(largest, ways * partitions * line * (std::int64_t{ecx} + 1));
  }
  return largest;
}

}  // namespace

bool is_amd() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
}

std::int64_t last_level_cache() noexcept {
  constexpr unsigned intel = 4;
  constexpr unsigned amd = 0x8000001d;
  const std::int64_t bytes = largest_cache(intel);
  return bytes != 0 ? bytes : largest_cache(amd);
}

#elif defined(__aarch64__)

bool cpu_runs(std::string_view target) noexcept {
  const unsigned long features = ::getauxval(AT_HWCAP);
  const auto has = [features](unsigned long bits) { return (features & bits) == bits; };
  const bool arm64 = has(HWCAP_FP | HWCAP_ASIMD);
  if (target == "arm64") {
    return arm64;
  }
  return target == "arm64_fp16" && arm64 && has(HWCAP_FPHP | HWCAP_ASIMDHP);
}

#elif defined(__arm__)

bool cpu_runs(std::string_view target) noexcept {
  return target == "armhf" && (::getauxval(AT_HWCAP) & HWCAP_ARM_NEON) != 0;
}

#else

bool cpu_runs(std::string_view /*target*/) noexcept { return false; }

#endif

#if !defined(__x86_64__)

bool is_amd() noexcept { return false; }

std::int64_t last_level_cache() noexcept { return 0; }

#endif

}  // namespace halnorm::HALNORM_ABI::detail
