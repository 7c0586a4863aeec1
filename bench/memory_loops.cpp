#include "memory_loops.h"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace halnorm::bench {
namespace {

/// One cache line. This file is compiled for the machine it runs on; where that has narrower
/// vectors, the compiler splits the operations.
using Line __attribute__((vector_size(64), aligned(4), may_alias)) = Word;
constexpr std::size_t lane_count = sizeof(Line) / sizeof(Word);
constexpr std::size_t unroll = 4;

const Line& line_at(const Word* p) { return *reinterpret_cast<const Line*>(p); }
Line& line_at(Word* p) { return *reinterpret_cast<Line*>(p); }

/// y must be aligned to a cache line.
void stream(Word* y, const Line& value) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(y), reinterpret_cast<const __m512i&>(value));
#elif defined(__AVX__)
  const auto* from = reinterpret_cast<const __m256i*>(&value);
  for (std::size_t i = 0; i < 2; ++i)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(y) + i, _mm256_loadu_si256(from + i));
#elif defined(__SSE2__)
  const auto* from = reinterpret_cast<const __m128i*>(&value);
  for (std::size_t i = 0; i < 4; ++i)
    _mm_stream_si128(reinterpret_cast<__m128i*>(y) + i, _mm_loadu_si128(from + i));
#else
  line_at(y) = value;
#endif
}

/// Streaming stores are weakly ordered: they must be visible before another thread is told.
void finish_stream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

std::size_t to_alignment(const Word* y) {
  const auto offset = (reinterpret_cast<std::uintptr_t>(y) / sizeof(Word)) % lane_count;
  return (lane_count - offset) % lane_count;
}

Word sum(const Line& line) {
  Word total = 0;
  for (std::size_t lane = 0; lane < lane_count; ++lane) total += line[lane];
  return total;
}

/// Writes value(i) to y, a line at a time; scalar(i) for the elements of broken lines.
template <class Vector, class Scalar>
void write_lines(Word* y, std::size_t count, bool streaming, Vector vector, Scalar scalar) {
  std::size_t i = 0;
  if (streaming) {
    const std::size_t head = to_alignment(y);
    for (; i < head && i < count; ++i) y[i] = scalar(i);
    for (; i + lane_count <= count; i += lane_count) {
      Line value;
      vector(i, value);
      stream(y + i, value);
    }
    finish_stream();
  } else {
    for (; i + lane_count <= count; i += lane_count) vector(i, line_at(y + i));
  }
  for (; i < count; ++i) y[i] = scalar(i);
}

}  // namespace

Word read_all(const Word* x, std::size_t count) {
  Line total[unroll] = {};
  std::size_t i = 0;
  for (; i + unroll * lane_count <= count; i += unroll * lane_count) {
    for (std::size_t u = 0; u < unroll; ++u) total[u] += line_at(x + i + u * lane_count);
  }
  Word rest = 0;
  for (; i < count; ++i) rest += x[i];
  return rest + sum((total[0] + total[1]) + (total[2] + total[3]));
}

Word read_both(const Word* x, const Word* dy, std::size_t count) {
  Line total[unroll] = {};
  std::size_t i = 0;
  for (; i + unroll * lane_count <= count; i += unroll * lane_count) {
    for (std::size_t u = 0; u < unroll; ++u) {
      total[u] += line_at(x + i + u * lane_count) + line_at(dy + i + u * lane_count);
    }
  }
  Word rest = 0;
  for (; i < count; ++i) rest += x[i] + dy[i];
  return rest + sum((total[0] + total[1]) + (total[2] + total[3]));
}

void copy(const Word* x, Word* y, std::size_t count, Store store) {
  if (store == Store::Library) {
    std::memcpy(y, x, count * sizeof(Word));
    return;
  }
  write_lines(
      y, count, store == Store::Streaming,
      [x](std::size_t i, Line& line) { line = line_at(x + i); },
      [x](std::size_t i) { return x[i]; });
}

void add(const Word* x, const Word* dy, Word* y, std::size_t count, Store store) {
  write_lines(
      y, count, store == Store::Streaming,
      [x, dy](std::size_t i, Line& line) { line = line_at(x + i) + line_at(dy + i); },
      [x, dy](std::size_t i) { return x[i] + dy[i]; });
}

}  // namespace halnorm::bench
