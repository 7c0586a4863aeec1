#pragma once

#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// A constant for all channels on a device: a tensor of stride 0 on memory that is written once and
/// kept, so that later calls do not wait for a copy.
Tensor constant(double value, std::int64_t channels, DType dtype, Device device);

/// Zeros of x's dtype on x's device; a device tensor is kept for later calls.
Tensor zeros(std::int64_t count, const Tensor& x);

}  // namespace halnorm::HALNORM_ABI::detail
