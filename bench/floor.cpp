#include "floor.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

namespace halnorm::bench {
namespace {

constexpr std::size_t line_elements = 64 / sizeof(float);

float move_part(Operation operation, Store store, Problem& problem, std::size_t begin,
                std::size_t count) {
  const float* x = problem.x.data() + begin;
  const float* dy = problem.dy.data() + begin;
  float* out = problem.out.data() + begin;
  switch (operation) {
    case Operation::Train: {
      const float sum = read_all(x, count);
      copy(x, out, count, store);
      return sum;
    }
    case Operation::Infer:
      copy(x, out, count, store);
      return 0.0F;
    case Operation::Backward: {
      const float sum = read_both(x, dy, count);
      add(x, dy, out, count, store);
      return sum;
    }
  }
  return 0.0F;
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

float run_floor(const FloorLoop& loop, Operation operation, Problem& problem, ThreadTeam& team) {
  const std::size_t total = problem.x.size();
  if (loop.serial) return move_part(operation, loop.store, problem, 0, total);
  const auto members = static_cast<std::size_t>(team.size());
  // Whole cache lines for each member, so that no two members write to one.
  const std::size_t lines = (total + line_elements - 1) / line_elements;
  const std::size_t share = (lines + members - 1) / members * line_elements;
  std::atomic<float> sum{0.0F};
  team.run([&](int member) {
    const std::size_t begin = std::min(total, static_cast<std::size_t>(member) * share);
    const std::size_t count = std::min(share, total - begin);
    sum.fetch_add(move_part(operation, loop.store, problem, begin, count));
  });
  return sum;
}

void verify_floor(Operation operation, const Problem& problem) {
  const bool adds = operation == Operation::Backward;
  for (std::size_t i = 0; i < problem.x.size(); ++i) {
    const float wanted = adds ? problem.x[i] + problem.dy[i] : problem.x[i];
    if (problem.out[i] != wanted) {
      throw std::runtime_error("wrong floor: " + std::string(name_of(operation)) + " of " +
                               problem.shape().name() + " at " + std::to_string(i));
    }
  }
}

}  // namespace halnorm::bench
