#include "floor.h"

#include <algorithm>
#include <stdexcept>

namespace halnorm::bench {
namespace {

constexpr std::size_t line_words = 64 / sizeof(Word);

Word* words_of(const Tensor& t) { return static_cast<Word*>(t.raw_data()); }

Word move_part(const OperationInfo& info, Store store, const FloorTensors& t, std::size_t begin,
               std::size_t count) {
  Word sum = 0;
  for (std::size_t i = 0; i < info.summed; i += 2) {
    const bool both = i + 1 < info.summed;
    sum += read(t.inputs[i] + begin, both ? t.inputs[i + 1] + begin : nullptr, count);
  }
  for (std::size_t i = 0; i < info.written; ++i) {
    const bool both = 2 * i + 1 < info.read;
    write(t.inputs[2 * i] + begin, both ? t.inputs[2 * i + 1] + begin : nullptr,
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

std::vector<FloorLoop> floor_loops(int threads) {
  std::vector<FloorLoop> loops;
  for (const bool serial : {true, false}) {
    if (!serial && threads == 1) continue;
    const std::string end = serial ? ", 1 thread" : ", all threads";
    loops.push_back({"memcpy" + end, Store::Library, serial});
    loops.push_back({"plain" + end, Store::Plain, serial});
    loops.push_back({"non-temporal" + end, Store::Nontemporal, serial});
  }
  return loops;
}

Word run_floor(const FloorLoop& loop, const OperationInfo& info, const FloorTensors& tensors,
               int threads) {
  if (loop.serial) return move_part(info, loop.store, tensors, 0, tensors.words);
  const auto members = static_cast<std::size_t>(threads);
  // Whole cache lines for each member, so that no two members write to one.
  const std::size_t lines = (tensors.words + line_words - 1) / line_words;
  const std::size_t share = (lines + members - 1) / members * line_words;
  Word sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sum)
  for (std::size_t member = 0; member < members; ++member) {
    const std::size_t begin = std::min(tensors.words, member * share);
    const std::size_t count = std::min(share, tensors.words - begin);
    sum += move_part(info, loop.store, tensors, begin, count);
  }
  return sum;
}

void verify_floor(const OperationInfo& info, const FloorTensors& t) {
  for (std::size_t output = 0; output < info.written; ++output) {
    const Word* x = t.inputs[2 * output];
    const Word* dy = 2 * output + 1 < info.read ? t.inputs[2 * output + 1] : nullptr;
    for (std::size_t i = 0; i < t.words; ++i) {
      if (t.outputs[output][i] != (dy != nullptr ? x[i] + dy[i] : x[i])) {
        throw std::runtime_error("wrong floor: " + std::string(info.name) + " at " +
                                 std::to_string(i));
      }
    }
  }
}

}  // namespace halnorm::bench
