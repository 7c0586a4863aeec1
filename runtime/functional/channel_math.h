#pragma once

#include <utility>

#include "halnorm/tensor.h"

/// @file
/// The little arithmetic on one value per channel that is left between kernels, on a device and
/// without waiting for it. There it is a normalization as well: (x - mean) * invstd * weight + bias
/// is a sum, a product or a rounding, as one chooses what to put in.

namespace halnorm::detail {

/// The values in another dtype. Only what no kernel rounds goes through the host.
Tensor channels_to(const Tensor& values, DType dtype);

/// Two of the same length, on a device in one launch.
std::pair<Tensor, Tensor> channels_to(const Tensor& a, const Tensor& b, DType dtype);

/// Whether a device's kernel can add to this: float32 or float64, where its kernels can start.
bool can_add_channels(const Tensor& sum);

/// sum += addend, both of one dtype and on one device, which can_add_channels().
void add_channels(const Tensor& sum, const Tensor& addend);

/// a * b in Float64.
Tensor multiply_channels(const Tensor& a, const Tensor& b);

}  // namespace halnorm::detail
