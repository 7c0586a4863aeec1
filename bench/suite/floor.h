#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "problem.h"

namespace halnorm::bench {

/// The memory that an operation has to move, in tensors: a first pass reads some of its inputs,
/// and a second one reads some and writes the outputs.
struct OperationInfo {
  std::string_view name;
  std::string_view group;  ///< plain, split or fused, as for --operations
  std::size_t summed, read, written;
};

/// The one list of the operations that the benchmark knows. results/measurements.py adds the
/// figures.
inline constexpr OperationInfo operations[] = {
    // clang-format off
    {"train", "plain", 1, 1, 1},
    {"infer", "plain", 0, 1, 1},
    {"backward", "plain", 2, 2, 1},
    {"moments", "split", 1, 0, 0},
    {"elemt", "split", 0, 1, 1},
    {"backward_reduce", "split", 2, 0, 0},
    {"backward_elemt", "split", 0, 2, 1},
    {"fused_train", "fused", 1, 2, 1},
    {"fused_infer", "fused", 0, 2, 1},
    {"fused_backward", "fused", 3, 3, 2},
    // clang-format on
};

/// The floor moves 32-bit words for all dtypes.
using Word = std::uint32_t;

/// How the floor writes. Library: memcpy; Nontemporal: non-temporal stores if the CPU has them.
enum class Store { Library, Plain, Nontemporal };

/// The tensors that an operation reads, in the order in which it needs them, and writes.
struct FloorTensors {
  FloorTensors(const OperationInfo& info, Problem& problem);
  /// From the element `begin` of an input on; null beyond the first `used` inputs.
  [[nodiscard]] const Word* input(std::size_t i, std::size_t used, std::size_t begin) const {
    return i < used ? inputs[i] + begin : nullptr;
  }
  std::vector<Word*> inputs, outputs;
  std::size_t words;  ///< of each; a last element that is only half a word is left out
};

/// Moves the memory: each of OpenMP's threads does both passes over its own part. Returns a sum
/// that depends on the data that was read.
Word run_floor(Store store, int threads, const OperationInfo& info, const FloorTensors& tensors);

/// Checks the outputs of run_floor(). @throws std::runtime_error
void verify_floor(const OperationInfo& info, const FloorTensors& tensors);

}  // namespace halnorm::bench
