#include "memory_loops.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace halnorm::bench {
namespace {

/// One cache line. This file is compiled for the machine that runs it; for narrower vectors the
/// compiler splits the operations.
using Line __attribute__((vector_size(64), aligned(4), may_alias)) = Word;
constexpr std::size_t lane_count = sizeof(Line) / sizeof(Word);
constexpr std::size_t unroll = 4;

/// y must be aligned to a cache line.
void write_nontemporal(Word* y, const Line& value) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(y), _mm512_loadu_si512(&value));
#elif defined(__AVX__)
  const auto* from = reinterpret_cast<const __m256i*>(&value);
  for (std::size_t i = 0; i < 2; ++i) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(y) + i, _mm256_loadu_si256(from + i));
  }
#elif defined(__SSE2__)
  const auto* from = reinterpret_cast<const __m128i*>(&value);
  for (std::size_t i = 0; i < 4; ++i) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(y) + i, _mm_loadu_si128(from + i));
  }
#else
  *reinterpret_cast<Line*>(y) = value;
#endif
}

/// Adds the elements of x, and of dy if Both: a reference, because vectors have no common ABI.
template <bool Both, class Element>
void add_to(Element& total, const Word* x, const Word* dy, std::size_t i) {
  total += reinterpret_cast<const Element&>(x[i]);
  if constexpr (Both) total += reinterpret_cast<const Element&>(dy[i]);
}

/// y[i] = x[i], or the sum.
template <bool Both>
void write_word(const Word* x, const Word* dy, Word* y, std::size_t i) {
  Word value = 0;
  add_to<Both>(value, x, dy, i);
  y[i] = value;
}

template <bool Both>
Word read_lines(const Word* x, const Word* dy, std::size_t count) {
  Line total[unroll] = {};
  std::size_t i = 0;
  for (; i + unroll * lane_count <= count; i += unroll * lane_count) {
    for (std::size_t u = 0; u < unroll; ++u) add_to<Both>(total[u], x, dy, i + u * lane_count);
  }
  Word sum = 0;
  for (; i < count; ++i) add_to<Both>(sum, x, dy, i);
  const Line lanes = (total[0] + total[1]) + (total[2] + total[3]);
  for (std::size_t lane = 0; lane < lane_count; ++lane) sum += lanes[lane];
  return sum;
}

template <bool Both>
void write_lines(const Word* x, const Word* dy, Word* y, std::size_t count, bool nontemporal) {
  std::size_t i = 0;
  if (nontemporal) {
    const auto offset = reinterpret_cast<std::uintptr_t>(y) / sizeof(Word) % lane_count;
    const std::size_t head = std::min(count, (lane_count - offset) % lane_count);
    for (; i < head; ++i) write_word<Both>(x, dy, y, i);
    for (; i + lane_count <= count; i += lane_count) {
      Line value = {};
      add_to<Both>(value, x, dy, i);
      write_nontemporal(y + i, value);
    }
#if defined(__SSE2__)
    _mm_sfence();  // makes non-temporal stores visible before later synchronization
#endif
  }
  for (; i + lane_count <= count; i += lane_count) {
    Line value = {};
    add_to<Both>(value, x, dy, i);
    *reinterpret_cast<Line*>(y + i) = value;
  }
  for (; i < count; ++i) write_word<Both>(x, dy, y, i);
}

}  // namespace

Word read(const Word* x, const Word* dy, std::size_t count) {
  return dy != nullptr ? read_lines<true>(x, dy, count) : read_lines<false>(x, dy, count);
}

void write(const Word* x, const Word* dy, Word* y, std::size_t count, Store store) {
  const bool nontemporal = store == Store::Nontemporal;
  if (dy != nullptr) {
    write_lines<true>(x, dy, y, count, nontemporal);
  } else if (store == Store::Library) {
    std::memcpy(y, x, count * sizeof(Word));
  } else {
    write_lines<false>(x, dy, y, count, nontemporal);
  }
}

}  // namespace halnorm::bench
