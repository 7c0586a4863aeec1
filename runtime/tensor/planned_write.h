#pragma once

#include <vector>

#include "base/strides.h"
#include "halnorm/tensor.h"

/// @file
/// Writes that several tensors get together or none gets.

namespace halnorm::detail {

/// A write to a tensor, with all memory that it needs: on the host run() cannot fail.
class PlannedWrite {
 public:
  /// A copy, converted to the target's dtype. Both have one shape and no element in common.
  PlannedWrite(Tensor target, Tensor source);
  PlannedWrite(Tensor target, double value);

  void run();

 private:
  Tensor target_;
  Tensor source_;     ///< undefined where the target is filled
  double value_ = 0;  ///< with this
  std::vector<Axis> axes_;
};

/// @throws DeviceError if a device refuses; what comes before it is written then.
void run_all(std::vector<PlannedWrite>& writes);

}  // namespace halnorm::detail
