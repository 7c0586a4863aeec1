#pragma once

#include "halnorm/functional.h"

/// @file
/// Batch normalization with what follows it in a residual network, in one pass over memory:
/// y = relu(batch_norm(x) + addend), forward and backward.
///
/// What halnorm/functional.h says of arguments, threads and errors holds here too. Besides:
/// - x has fewer than 2^31 - 64 elements, and no two of them lie farther apart; if not, ShapeError.
/// - addend, y and dy are like x in shape and dtype, with any strides that reach no farther. An
/// undefined addend is 0.
/// - `out` of a forward may be x or addend itself, of a backward dy itself.
/// - relu(NaN) is NaN. A gradient passes where y > 0, and where y is NaN.

#pragma GCC visibility push(default)

namespace halnorm::functional {

/// Gradients with respect to x, addend, weight and bias.
struct BatchNormFusedBackward {
  Tensor dx, daddend, dweight, dbias;
};

/// y = relu((x - mean) * invstd * weight + bias + addend) with the batch's own mean and biased
/// variance.
BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out = {});

/// batch_norm_fused_train that also updates running_mean and running_var (both defined) with
/// `factor`: running = (1 - factor) * running + factor * batch.
BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out = {});

/// y = relu((x - running_mean) / sqrt(running_var + eps) * weight + bias + addend).
Tensor batch_norm_fused_infer(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              double eps, Tensor out = {});

/// Gradients of batch_norm_fused_train, with its y, mean and invstd: daddend = dy where y > 0,
/// otherwise 0; dx, dweight and dbias are batch_norm_backward's of daddend. `out` receives dx.
BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out = {});

/// The same of batch_norm_fused_infer: dx = weight / sqrt(running_var + eps) * daddend.
BatchNormFusedBackward batch_norm_fused_backward_infer(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& weight,
                                                       const Tensor& running_mean,
                                                       const Tensor& running_var, double eps,
                                                       Tensor out = {});

}  // namespace halnorm::functional

#pragma GCC visibility pop
