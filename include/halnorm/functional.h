#pragma once

#include <optional>

#include "halnorm/tensor.h"

/// @file
/// Batch normalization as stateless functions: what the modules are made of.
///
/// Common to all of them:
/// - x is (N, C), (N, C, L) or (N, C, D1, ..., Dk); C is its second axis, M = N * L the values per
///   channel. Any strides are read correctly. An x is read in place if its axes after the second
///   can be walked as one dense axis L (NCL), or if its channel axis is dense and the rows of C
///   values lie at one distance (NLC, NC). Any other is copied once to a dense tensor: channels
///   innermost after a narrow() along a later axis, with a repeated or reordered batch, or with a
///   stride in the innermost axis. Its results have the bits of those of the copy.
/// - x may be Float16, BFloat16, Float32 or Float64. weight, bias, running_mean and running_var are
///   (C), of any of these; weight and bias have one dtype, and so do running_mean and running_var.
///   weight and bias may each be undefined: 1 and 0. Beside a Float64 x they are used as Float64,
///   otherwise as Float32: narrower ones are converted when loaded, running statistics rounded once
///   when stored. If one is Float64 and x is not, the call is made in Float64: x and dy are copied
///   to it, and y or dx is rounded once on its way back. Input tensors are never modified.
/// - 16-bit data is normalized in Float32; results are rounded once, to nearest even. Sums are
///   those of short blocks in Float32, added in Float64, or are Float64 throughout
///   (docs/decisions/001).
/// - Range: on the CPU results are as exact for magnitudes of 1e-30 and of 1e30 as for those of 1,
///   of x, of x - mean, of weight, dy and 1 / invstd, in any combination. x and mean may go up to
///   their dtype's largest value. A result beyond its dtype's range is infinite; in a fused call
///   the normalized value before the addition as well. Below 2^-126, Float32's least normal value,
///   digits may be lost: y is off by at most that, dx by sqrt(M) and a sum of M terms by M of it.
///   eps may be as small as 1e-200. Devices have less range: docs/targets.md.
/// - mean, invstd and the moments are (C) in Float64 whatever x is: a mean rounded to float32 costs
///   the gradient three digits at mean/std = 1e6. Where they are arguments, Float32 is accepted
///   too.
/// - `out`, if defined, receives the result and is returned: x's shape and dtype, any strides with
///   no two elements in one place. It may be x itself (dy in a backward); any other overlap with
///   an argument is an error. If undefined, a new dense tensor laid out like x is made: channels
///   innermost if they are so in x, otherwise row-major.
/// - The same bits for any number of threads, and on every run on one machine. Some shapes take
///   several kernels (docs/decisions/010); which, and in what order parts are merged, follows from
///   shape and strides alone.
/// - Errors: ShapeError, DTypeError, DeviceError, ValueError, KernelError; each names the function,
///   what it got and what it wanted; nothing has been written when one is thrown. Where a kernel
///   fails or memory runs out within it, `out` alone may hold anything.
///
/// Formulas: Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1 and section 3; mean and
/// variance from sums about a shift, Chan, Golub and LeVeque 1983; parts of a tensor are merged by
/// (count, mean, M2), the same authors 1979.

#pragma GCC visibility push(default)

namespace halnorm::functional {

/// y, and the batch statistics that made it: mean and invstd = 1 / sqrt(var + eps), var biased.
struct BatchNormForward {
  Tensor y, mean, invstd;
};

/// Gradients with respect to x, weight and bias. dweight and dbias are (C) in weight's dtype;
/// without a weight in Float64 beside a Float64 x, otherwise in Float32, whatever the dtype of
/// running statistics.
struct BatchNormBackward {
  Tensor dx, dweight, dbias;
};

/// Mergeable statistics: count is 0-d, mean and m2 (the sum of squared deviations) are (C);
/// Float64.
struct Moments {
  Tensor count, mean, m2;
};

/// Per-channel sums of a backward pass, Float64: sum(dy) and sum(dy * (x - mean)); dweight and
/// dbias as in BatchNormBackward.
struct BackwardReduce {
  Tensor sum_dy, sum_dy_xmu, dweight, dbias;
};

/// The whole operation, as torch.nn.functional.batch_norm: with `training`, or without running
/// statistics, normalizes with the batch's statistics, otherwise with the running ones. In training
/// running statistics, where given, are updated in place with factor `momentum`
/// (running_var takes the unbiased variance); with no momentum they are left alone.
/// @throws ValueError if just one of running_mean and running_var is defined, if eps is negative or
///         not finite, or if M == 1 with batch statistics. M == 0 returns an empty y.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training,
                  std::optional<double> momentum, double eps, Tensor out = {});

/// y = (x - mean) * invstd * weight + bias with the batch's own mean and biased variance.
BatchNormForward batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  double eps, Tensor out = {});

/// batch_norm_train that also updates running_mean and running_var (both defined) with `factor`,
/// without reading x again: running = (1 - factor) * running + factor * batch.
BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps,
                                         Tensor out = {});

/// y = (x - running_mean) / sqrt(running_var + eps) * weight + bias.
Tensor batch_norm_infer(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& weight, const Tensor& bias, double eps, Tensor out = {});

/// Gradients of batch_norm_train, with its mean and invstd:
/// dbias = sum(dy), dweight = sum(dy * xhat), xhat = (x - mean) * invstd,
/// dx = weight * invstd * (dy - dbias / M - xhat * dweight / M).
BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean, const Tensor& invstd, Tensor out = {});

/// Gradients of batch_norm_infer: dx = weight / sqrt(running_var + eps) * dy; no gradient flows
/// into the running statistics.
BatchNormBackward batch_norm_backward_infer(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                            const Tensor& running_mean, const Tensor& running_var,
                                            double eps, Tensor out = {});

/// Count, mean and sum of squared deviations of each channel of x.
Moments batch_norm_moments(const Tensor& x);

/// The moments of the union of two batches (Chan et al. 1979). A count is a whole number from 0 to
/// 2^53; of a batch whose count is 0, mean and m2 are not looked at.
Moments merge(const Moments& a, const Moments& b);

/// running_mean = (1 - factor) * running_mean + factor * mean, running_var likewise with the
/// unbiased variance m2 / (count - 1). A count of 0 changes nothing.
/// @throws ValueError if count is 1 or no whole number from 0 to 2^53, ShapeError if the moments
///         overlap the running statistics in memory.
void update_running_stats(const Tensor& running_mean, const Tensor& running_var,
                          const Moments& moments, double factor);

/// The second half of batch_norm_train, for statistics that came from elsewhere (a synchronized
/// layer): y = (x - mean) * invstd * weight + bias.
Tensor batch_norm_elemt(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& mean, const Tensor& invstd, Tensor out = {});

/// The first half of batch_norm_backward: the sums that a synchronized layer adds over its ranks.
BackwardReduce batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& mean,
                                          const Tensor& invstd, const Tensor& weight);

/// The second half: dx = weight * invstd *
/// (dy - sum_dy / count - (x - mean) * invstd^2 * sum_dy_xmu / count); count is a 0-d tensor, a
/// whole number from 0 to 2^53. Over 0 values both sums are 0, whatever their tensors hold.
Tensor batch_norm_backward_elemt(const Tensor& dy, const Tensor& x, const Tensor& mean,
                                 const Tensor& invstd, const Tensor& weight, const Tensor& sum_dy,
                                 const Tensor& sum_dy_xmu, const Tensor& count, Tensor out = {});

/// A layer's weight and bias with the batch normalization behind it folded into them.
struct FusedWeights {
  Tensor weight, bias;
};

/// Folds an eval-mode batch normalization into the convolution before it:
/// weight = conv_w * scale, bias = (conv_b - bn_rm) * scale + bn_b, scale = bn_w / sqrt(bn_rv +
/// eps). conv_w is (C, ...), with `transpose` (in, C, ...), of any floating dtype; conv_b, bn_w and
/// bn_b may each be undefined: 0, 1 and 0. Argument order and meaning are those of
/// torch.nn.utils.fusion. Computed in double on the host and rounded once to conv_w's dtype.
/// @throws ShapeError, DTypeError, DeviceError, and ValueError for eps.
FusedWeights fuse_conv_bn_weights(const Tensor& conv_w, const Tensor& conv_b, const Tensor& bn_rm,
                                  const Tensor& bn_rv, double bn_eps, const Tensor& bn_w,
                                  const Tensor& bn_b, bool transpose = false);

/// The same for a linear layer; linear_w is (C, in).
FusedWeights fuse_linear_bn_weights(const Tensor& linear_w, const Tensor& linear_b,
                                    const Tensor& bn_rm, const Tensor& bn_rv, double bn_eps,
                                    const Tensor& bn_w, const Tensor& bn_b);

}  // namespace halnorm::functional

#pragma GCC visibility pop
