#pragma once

#include "functional/arguments/channel_pair.h"
#include "halnorm/functional_fused.h"

/// @file
/// BatchNorm's code calls the fused functions through these pointers, which a fused layer passes
/// with each forward. So a layer without an epilogue links none of the fused kernels.

namespace halnorm::HALNORM_ABI::functional {

/// The gradient of v, for y = relu(v): shapes, dtypes and devices of dy and y are the same.
Tensor relu_backward(const Tensor& dy, const Tensor& y, double slope);

}  // namespace halnorm::HALNORM_ABI::functional

namespace halnorm::HALNORM_ABI::nn::detail {

struct FusedFunctions {
  functional::BatchNormForward (*train)(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out, double slope);
  functional::BatchNormForward (*train_update)(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out, double slope);
  Tensor (*infer)(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                  const Tensor& running_var, const Tensor& weight, const Tensor& bias, double eps,
                  Tensor out, double slope);
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
