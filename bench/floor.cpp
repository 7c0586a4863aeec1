#include "floor.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

namespace halnorm::bench {
namespace {

/// A last element that is only half a word is left out.
std::size_t words_of(const DataBuffer& buffer) { return buffer.bytes() / sizeof(Word); }

Word* words(const DataBuffer& buffer) { return static_cast<Word*>(buffer.data()); }

constexpr std::size_t line_words = 64 / sizeof(Word);

Word move_part(Operation operation, Store store, Problem& problem, std::size_t begin,
               std::size_t count) {
  const Word* x = words(problem.x) + begin;
  const Word* dy = words(problem.dy) + begin;
  Word* out = words(problem.out) + begin;
  switch (operation) {
    case Operation::Train: {
      const Word sum = read_all(x, count);
      copy(x, out, count, store);
      return sum;
    }
    case Operation::Infer:
      copy(x, out, count, store);
      return 0;
    case Operation::Backward: {
      const Word sum = read_both(x, dy, count);
      add(x, dy, out, count, store);
      return sum;
    }
  }
  return 0;
}

}  // namespace

std::vector<FloorLoop> floor_loops(int threads) {
  std::vector<FloorLoop> loops{{"memcpy", Store::Library, true},
                               {"plain", Store::Plain, true},
                               {"streaming", Store::Streaming, true}};
  if (threads > 1) {
    loops.push_back({"memcpy", Store::Library, false});
    loops.push_back({"plain", Store::Plain, false});
    loops.push_back({"streaming", Store::Streaming, false});
  }
  return loops;
}

Word run_floor(const FloorLoop& loop, Operation operation, Problem& problem, ThreadTeam& team) {
  const std::size_t total = words_of(problem.x);
  if (loop.serial) return move_part(operation, loop.store, problem, 0, total);
  const auto members = static_cast<std::size_t>(team.size());
  // Whole cache lines for each member, so that no two members write to one.
  const std::size_t lines = (total + line_words - 1) / line_words;
  const std::size_t share = (lines + members - 1) / members * line_words;
  std::atomic<Word> sum{0};
  team.run([&](int member) {
    const std::size_t begin = std::min(total, static_cast<std::size_t>(member) * share);
    const std::size_t count = std::min(share, total - begin);
    sum.fetch_add(move_part(operation, loop.store, problem, begin, count));
  });
  return sum;
}

void verify_floor(Operation operation, const Problem& problem) {
  const bool adds = operation == Operation::Backward;
  const Word* x = words(problem.x);
  const Word* dy = words(problem.dy);
  const Word* out = words(problem.out);
  for (std::size_t i = 0; i < words_of(problem.x); ++i) {
    if (out[i] != (adds ? x[i] + dy[i] : x[i])) {
      throw std::runtime_error("wrong floor: " + std::string(name_of(operation)) + " of " +
                               problem.shape().name() + " at " + std::to_string(i));
    }
  }
}

}  // namespace halnorm::bench
