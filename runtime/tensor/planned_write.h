#pragma once

#include <vector>

#include "base/strides.h"
#include "halnorm/tensor.h"

/// @file
/// Writes to several tensors: all of them, or none.

namespace halnorm::HALNORM_ABI::detail {

/// A planned write to a tensor. It has allocated its memory, so that run() cannot fail on the host.
class PlannedWrite {
 public:
  /// A copy that converts to the target's dtype. Both have one shape and do not overlap.
  PlannedWrite(Tensor target, Tensor source);
  PlannedWrite(Tensor target, double value);

  void run();

 private:
  Tensor target_;
  Tensor source_;     ///< undefined if the target is filled with a value
  double value_ = 0;  ///< the value
  std::vector<Axis> axes_;
};

/// @throws DeviceError if a device reports an error; the writes before it are then done.
void run_all(std::vector<PlannedWrite>& writes);

}  // namespace halnorm::HALNORM_ABI::detail
