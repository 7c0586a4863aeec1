#pragma once

#include "halnorm/tensor.h"

/// @file
/// Writes a result to the caller's tensor, for code that returns a new one.

namespace halnorm::HALNORM_ABI::nn {

/// The tensor, or a copy of it if writing to `out` would change it.
Tensor apart_from(const Tensor& out, const Tensor& tensor);

/// `out` with the elements of `result`.
/// @throws ValueError for an undefined result; ShapeError, DTypeError or DeviceError unless `out`
///         has its shape, dtype and device.
Tensor copied_into(const Tensor& out, const Tensor& result);

}  // namespace halnorm::HALNORM_ABI::nn
