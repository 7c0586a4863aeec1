#include "floor.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace halnorm::bench {
namespace {

/// A vector of the machine that runs this, for which this file is compiled: the compiler would
/// split wider ones, through memory.
#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif
using Vector __attribute__((vector_size(vector_bytes), aligned(4), may_alias)) = Word;
constexpr std::size_t lane_count = vector_bytes / sizeof(Word);
constexpr std::size_t line_words = 64 / sizeof(Word);
constexpr std::size_t unroll = 4;

/// y must be aligned to a vector.
void write_nontemporal(Word* y, const Vector& value) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(y), _mm512_loadu_si512(&value));
#elif defined(__AVX__)
  const auto* from = reinterpret_cast<const __m256i*>(&value);
  _mm256_stream_si256(reinterpret_cast<__m256i*>(y), _mm256_loadu_si256(from));
#elif defined(__SSE2__)
  const auto* from = reinterpret_cast<const __m128i*>(&value);
  _mm_stream_si128(reinterpret_cast<__m128i*>(y), _mm_loadu_si128(from));
#else
  *reinterpret_cast<Vector*>(y) = value;
#endif
}

/// Adds the elements of x, and of dy unless it is null: a reference, because vectors have no common
/// ABI. The compiler makes two loops of each loop that calls this.
template <class Element>
void add_to(Element& total, const Word* x, const Word* dy, std::size_t i) {
  total += reinterpret_cast<const Element&>(x[i]);
  if (dy != nullptr) total += reinterpret_cast<const Element&>(dy[i]);
}

/// Reads x, and dy unless it is null; returns a sum, so that the reads cannot be removed.
Word read(const Word* x, const Word* dy, std::size_t count) {
  Vector total[unroll] = {};
  std::size_t i = 0;
  for (; i + unroll * lane_count <= count; i += unroll * lane_count) {
    for (std::size_t u = 0; u < unroll; ++u) add_to(total[u], x, dy, i + u * lane_count);
  }
  Word sum = 0;
  for (; i < count; ++i) add_to(sum, x, dy, i);
  const Vector lanes = (total[0] + total[1]) + (total[2] + total[3]);
  for (std::size_t lane = 0; lane < lane_count; ++lane) sum += lanes[lane];
  return sum;
}

void write_words(const Word* x, const Word* dy, Word* y, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    Word value = 0;
    add_to(value, x, dy, i);
    y[i] = value;
  }
}

/// y = x, or y = x + dy, for which Store::Library writes like Store::Plain.
void write(const Word* x, const Word* dy, Word* y, std::size_t count, Store store) {
  if (store == Store::Library && dy == nullptr) {
    std::memcpy(y, x, count * sizeof(Word));
    return;
  }
  const auto offset = reinterpret_cast<std::uintptr_t>(y) / sizeof(Word) % lane_count;
  std::size_t i = std::min(count, (lane_count - offset) % lane_count);
  write_words(x, dy, y, 0, i);
  for (; i + lane_count <= count; i += lane_count) {
    Vector value = {};
    add_to(value, x, dy, i);
    if (store == Store::Nontemporal) {
      write_nontemporal(y + i, value);
    } else {
      *reinterpret_cast<Vector*>(y + i) = value;
    }
  }
  write_words(x, dy, y, i, count);
#if defined(__SSE2__)
  if (store == Store::Nontemporal) _mm_sfence();  // visible before later synchronization
#endif
}

Word* words_of(const Tensor& t) { return static_cast<Word*>(t.raw_data()); }

Word move_part(const OperationInfo& info, Store store, const FloorTensors& t, std::size_t begin,
               std::size_t count) {
  Word sum = 0;
  for (std::size_t i = 0; i < info.summed; i += 2) {
    sum += read(t.input(i, info.summed, begin), t.input(i + 1, info.summed, begin), count);
  }
  for (std::size_t i = 0; i < info.written; ++i) {
    write(t.input(2 * i, info.read, begin), t.input(2 * i + 1, info.read, begin),
          t.outputs[i] + begin, count, store);
  }
  return sum;
}

}  // namespace

FloorTensors::FloorTensors(const OperationInfo& info, Problem& problem)
    : inputs{words_of(problem.x)},
      outputs{words_of(problem.out)},
      words(static_cast<std::size_t>(problem.x.numel()) * size_of(problem.dtype()) / sizeof(Word)) {
  const bool has_dy = info.name.find("backward") != std::string_view::npos;
  if (has_dy) inputs.push_back(words_of(problem.dy));
  if (inputs.size() < info.read) inputs.push_back(words_of(problem.addend()));
  if (info.written == 2) outputs.push_back(words_of(problem.second_out()));
}

Word run_floor(Store store, int threads, const OperationInfo& info, const FloorTensors& tensors) {
  if (threads == 1) return move_part(info, store, tensors, 0, tensors.words);
  const auto members = static_cast<std::size_t>(threads);
  // Whole cache lines for each member, so that no two members write to one.
  const std::size_t lines = (tensors.words + line_words - 1) / line_words;
  const std::size_t share = (lines + members - 1) / members * line_words;
  Word sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sum)
  for (std::size_t member = 0; member < members; ++member) {
    const std::size_t begin = std::min(tensors.words, member * share);
    const std::size_t count = std::min(share, tensors.words - begin);
    sum += move_part(info, store, tensors, begin, count);
  }
  return sum;
}

void verify_floor(const OperationInfo& info, const FloorTensors& t) {
  for (std::size_t output = 0; output < info.written; ++output) {
    for (std::size_t i = 0; i < t.words; ++i) {
      const Word* x = t.input(2 * output, info.read, i);
      const Word* dy = t.input(2 * output + 1, info.read, i);
      if (t.outputs[output][i] != (dy != nullptr ? *x + *dy : *x)) {
        throw std::runtime_error("wrong floor: " + std::string(info.name) + " at " +
                                 std::to_string(i));
      }
    }
  }
}

}  // namespace halnorm::bench
