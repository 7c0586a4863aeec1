#pragma once

#include <utility>

#include "halnorm/tensor.h"

/// @file
/// Arithmetic on one value per channel between kernels. On a device it runs there, so that no call
/// waits for the device. It uses batch_norm_elemt: with the right operands, (x - mean) * invstd *
/// weight + bias is a sum, a product or a rounding. `function` names the caller in errors.

namespace halnorm::HALNORM_ABI::detail {

/// The values in another dtype. On a device, a dtype that no kernel writes goes through the host.
Tensor channels_to(const char* function, const Tensor& values, DType dtype);

/// The same for two tensors of one length, on a device in one launch.
std::pair<Tensor, Tensor> channels_to(const char* function, const Tensor& a, const Tensor& b,
                                      DType dtype);

/// Whether a device's kernel can add to `sum`: float32 or float64, at an address where kernels can
/// start.
bool can_add_channels(const Tensor& sum);

/// sum += addend, both of one dtype and on one device. can_add_channels(sum) is true.
void add_channels(const char* function, const Tensor& sum, const Tensor& addend);

/// a * b in Float64.
Tensor multiply_channels(const char* function, const Tensor& a, const Tensor& b);

}  // namespace halnorm::HALNORM_ABI::detail
