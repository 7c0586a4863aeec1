#pragma once

#include "halnorm/tensor.h"

/// @file
/// Computing into a tensor of the caller's for code that returns one of its own.

namespace halnorm::nn {

/// The tensor, or a copy where writing to `out` would change it.
Tensor apart_from(const Tensor& out, const Tensor& tensor);

/// `out` with the elements of `result`.
/// @throws ValueError for an undefined result; ShapeError, DTypeError or DeviceError unless `out`
///         is like it.
Tensor copied_into(const Tensor& out, const Tensor& result);

}  // namespace halnorm::nn
