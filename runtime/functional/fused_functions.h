#pragma once

#include "functional/channel_pair.h"
#include "halnorm/functional_fused.h"

/// @file
/// How a layer without an epilogue is linked without the kernels of one: BatchNorm's code calls the
/// fused functions through these pointers, which a fused layer gives it with each forward.

namespace halnorm::nn::detail {

struct FusedFunctions {
  functional::BatchNormForward (*train)(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out);
  functional::BatchNormForward (*train_update)(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out);
  Tensor (*infer)(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                  const Tensor& running_var, const Tensor& weight, const Tensor& bias, double eps,
                  Tensor out);
  functional::BatchNormFusedBackward (*backward)(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out,
                                                 const halnorm::detail::ChannelPair* sums);
  functional::BatchNormFusedBackward (*backward_infer)(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& weight,
                                                       const Tensor& running_mean,
                                                       const Tensor& running_var, double eps,
                                                       Tensor out);
};

}  // namespace halnorm::nn::detail
