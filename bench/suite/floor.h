#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory_loops.h"
#include "problem.h"

namespace halnorm::bench {

enum class Operation : std::uint8_t {
  Train,
  Infer,
  Backward,
  Moments,
  Elemt,
  BackwardReduce,
  BackwardElemt,
  FusedTrain,
  FusedInfer,
  FusedBackward,
};

/// The memory that an operation has to move, in tensors: a first pass reads some of its inputs,
/// and a second one reads some and writes the outputs.
struct OperationInfo {
  Operation operation;
  std::string_view name;
  std::size_t summed, read, written;
};

/// The one list of the operations that the benchmark knows. results/measurements.py adds the
/// figures.
inline constexpr OperationInfo operations[] = {
    {Operation::Train, "train", 1, 1, 1},
    {Operation::Infer, "infer", 0, 1, 1},
    {Operation::Backward, "backward", 2, 2, 1},
    {Operation::Moments, "moments", 1, 0, 0},
    {Operation::Elemt, "elemt", 0, 1, 1},
    {Operation::BackwardReduce, "backward_reduce", 2, 0, 0},
    {Operation::BackwardElemt, "backward_elemt", 0, 2, 1},
    {Operation::FusedTrain, "fused_train", 1, 2, 1},
    {Operation::FusedInfer, "fused_infer", 0, 2, 1},
    {Operation::FusedBackward, "fused_backward", 3, 3, 2},
};

/// One way to move the memory. `serial`: on the caller's thread alone, best for small tensors.
struct FloorLoop {
  std::string name;
  Store store;
  bool serial;
};

/// The ways that are tried; the fastest one is the floor.
std::vector<FloorLoop> floor_loops(int threads);

/// The tensors that an operation reads, in the order in which it needs them, and writes.
struct FloorTensors {
  FloorTensors(const OperationInfo& info, Problem& problem);
  std::vector<Word*> inputs, outputs;
  std::size_t words;  ///< of each; a last element that is only half a word is left out
};

/// Moves the memory: each of OpenMP's threads does both passes over its own part. Returns a sum
/// that depends on the data that was read.
Word run_floor(const FloorLoop& loop, const OperationInfo& info, const FloorTensors& tensors,
               int threads);

/// Checks the outputs of run_floor(). @throws std::runtime_error
void verify_floor(const OperationInfo& info, const FloorTensors& tensors);

}  // namespace halnorm::bench
