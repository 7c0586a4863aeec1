#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "memory_loops.h"
#include "problem.h"
#include "thread_team.h"

namespace halnorm::bench {

enum class Operation : std::uint8_t { Train, Infer, Backward };

inline constexpr Operation operations[] = {Operation::Train, Operation::Infer, Operation::Backward};

constexpr std::string_view name_of(Operation operation) {
  constexpr std::string_view names[] = {"train", "infer", "backward"};
  return names[static_cast<std::size_t>(operation)];
}

/// One way to move the memory that an operation must move.
struct FloorLoop {
  std::string_view name;
  Store store;
  bool serial;  ///< on the caller's thread only: the best way for small tensors
};

/// The ways that are tried; the floor is the best of them.
std::vector<FloorLoop> floor_loops(int threads);

/// Moves the memory: every member of the team does both passes over its own part.
/// Returns a sum that depends on what was read.
Word run_floor(const FloorLoop& loop, Operation operation, Problem& problem, ThreadTeam& team);

/// Checks that run_floor() wrote what it should: x, or x + dy. @throws std::runtime_error
void verify_floor(Operation operation, const Problem& problem);

}  // namespace halnorm::bench
