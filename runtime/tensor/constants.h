#pragma once

#include "halnorm/tensor.h"

namespace halnorm::detail {

/// One value for so many channels on a device: a tensor of stride 0 over memory that is written
/// once and kept, so that no later call waits for it.
Tensor constant(double value, std::int64_t channels, DType dtype, Device device);

/// So many zeros of x's dtype where x lies; on a device kept for the next call.
Tensor zeros(std::int64_t count, const Tensor& x);

}  // namespace halnorm::detail
