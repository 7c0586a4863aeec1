#pragma once

#include "halnorm/functional.h"

/// @file
/// Batch normalization, addition and relu, as at the end of a residual block:
/// y = relu(batch_norm(x) + addend), and its gradients. In a forward the addition and the relu cost
/// no pass over memory of their own; a backward is that of relu, then that of batch normalization.
///
/// halnorm/functional.h describes arguments, threads and errors. In addition:
/// - relu(v) = v < 0 ? slope * v : v. The slope is 0 or, for a leaky relu, positive: the backward
///   sees the sign of v in y. ValueError if it is negative or not finite.
/// - addend, y and dy have x's shape and dtype, and any strides. An undefined addend means 0.
/// - `out` may be x or addend itself in a forward, and dy itself in a backward.
/// - relu(NaN) is NaN. A gradient passes as it is to elements with y > 0 and to elements whose y is
///   NaN, and times the slope to others.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::functional {

/// Gradients with respect to x, addend, weight and bias.
struct BatchNormFusedBackward {
  Tensor dx;       ///< x's shape and dtype
  Tensor daddend;  ///< x's shape and dtype
  Tensor dweight;  ///< as in BatchNormBackward
  Tensor dbias;    ///< as in BatchNormBackward
};

/// y = relu((x - mean) * invstd * weight + bias + addend) with the batch's mean and biased
/// variance.
BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out = {},
                                        double slope = 0);

/// batch_norm_fused_train that also updates running_mean and running_var (both defined):
/// running = (1 - factor) * running + factor * batch.
BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out = {}, double slope = 0);

/// y = relu((x - running_mean) / sqrt(running_var + eps) * weight + bias + addend).
Tensor batch_norm_fused_infer(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              double eps, Tensor out = {}, double slope = 0);

/// Gradients of batch_norm_fused_train, with its y, mean and invstd: daddend = dy if y > 0 or y
/// is NaN, otherwise slope * dy. dx, dweight and dbias are those of batch_norm_backward for
/// daddend. `out` receives dx.
BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out = {},
                                                 double slope = 0);

/// Gradients of batch_norm_fused_infer, with its y: daddend = dy if y > 0 or y is NaN,
/// otherwise slope * dy, and dx = weight / sqrt(running_var + eps) * daddend.
BatchNormFusedBackward batch_norm_fused_backward_infer(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& weight,
                                                       const Tensor& running_mean,
                                                       const Tensor& running_var, double eps,
                                                       Tensor out = {}, double slope = 0);

}  // namespace halnorm::HALNORM_ABI::functional

#pragma GCC visibility pop
