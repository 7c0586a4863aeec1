#pragma once

#include <cstdint>
#include <initializer_list>

#include "c_api/tensors.h"

/// @file
/// Outputs other than `out`: results that are computed first and stored last. An output that the
/// caller does not want is NULL, here an undefined tensor.

namespace halnorm::HALNORM_ABI::c_api {

/// The number of channels that a tensor has to have, and its device.
struct Channels {
  std::int64_t count;  ///< -1 if it is not known
  Device device;
};

/// The channels of x. They are not known if x is not valid for the called function.
Channels channels_of(const Tensor& x);

/// One statistic per channel: (C), Float64 or Float32.
Tensor statistic_output(Call& call, const char* name, const DLTensor* given,
                        const Channels& channels);

/// A required input of one value per channel, with any strides, also 0.
Tensor statistic_input(Call& call, const char* name, const DLTensor* given,
                       const Channels& channels);

/// The gradient of a parameter: (C), of the dtype that the function returns.
Tensor gradient_output(Call& call, const char* name, const DLTensor* given, const Tensor& x,
                       const Tensor& weight);

/// A number of values: one element in Float64 or Int64, on the CPU.
Tensor count_output(Call& call, const char* name, const DLTensor* given);

/// A gradient with x's shape and dtype.
Tensor data_output(Call& call, const char* name, const DLTensor* given, const Tensor& x);

struct Output {
  const char* name;
  const Tensor& tensor;
};

/// No two of these share memory.
void check_apart(const Call& call, std::initializer_list<Output> outputs);

/// The same for outputs of which at least one is required.
void check_any_apart(const Call& call, std::initializer_list<Output> outputs);

/// Copies a result into the caller's tensor, if there is one, and rounds Float64 to Float32 once.
/// Never fails on the CPU, except for data_output(): running statistics may have changed already.
void store(const Tensor& result, const Tensor& output);

}  // namespace halnorm::HALNORM_ABI::c_api
