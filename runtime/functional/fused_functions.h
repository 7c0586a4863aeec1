#pragma once

#include "functional/arguments/channel_pair.h"
#include "halnorm/functional_fused.h"
#include "plan/operands.h"

/// @file
/// The fused operations of a fused layer, which it passes with each forward. So a layer without an
/// epilogue links none of the fused kernels.

namespace halnorm::HALNORM_ABI::functional {

/// The gradient of v, for y = relu(v): shapes, dtypes and devices of dy and y are the same.
Tensor relu_backward(const Tensor& dy, const Tensor& y, double slope);

}  // namespace halnorm::HALNORM_ABI::functional

namespace halnorm::HALNORM_ABI::nn::detail {

struct FusedFunctions {
  const halnorm::detail::TrainRows& train;
  const halnorm::detail::InferRows& infer;
  functional::BatchNormFusedBackward (*backward)(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out, double slope,
                                                 const halnorm::detail::ChannelPair* sums);
  functional::BatchNormFusedBackward (*backward_infer)(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& weight,
                                                       const Tensor& running_mean,
                                                       const Tensor& running_var, double eps,
                                                       Tensor out, double slope);
  Tensor (*relu_backward)(const Tensor& dy, const Tensor& y, double slope);
};

}  // namespace halnorm::HALNORM_ABI::nn::detail
