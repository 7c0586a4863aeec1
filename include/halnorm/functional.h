#pragma once

#include <optional>

#include "halnorm/tensor.h"

/// @file
/// Batch normalization as stateless functions. The modules call these functions.
///
/// Common to all of them:
/// - Shapes and strides: x is (N, C), (N, C, L) or (N, C, D1, ..., Dk). C is the second axis, M =
///   N * L the number of values per channel. x may have any strides. x is read without a copy if
///   its axes after the second form one contiguous axis L (NCL), or if its channel axis is
///   contiguous and the rows of C values have a constant distance (NLC, NC). Channels-last data
///   whose rows have a constant distance only within each item of the batch, as after a narrow()
///   along L or with a repeated batch, is read without a copy if an item has 64 KB or more. Any
///   other x is copied once to a contiguous tensor, and the result has the bits of a call on that
///   copy. Examples are smaller items of this kind, a reordered batch, and a stride in the
///   innermost axis.
/// - Dtypes: x is Float16, BFloat16, Float32 or Float64. weight, bias, running_mean and running_var
///   are (C) of any of these. weight and bias have the same dtype, and so have running_mean and
///   running_var. An undefined weight means 1, an undefined bias 0. If x is Float64, these
///   parameters are used as Float64, otherwise as Float32: smaller dtypes are converted when they
///   are read, and running statistics are rounded once when they are written. If a parameter is
///   Float64 and x is not, the call is computed in Float64 on copies of x and dy, and y or dx is
///   rounded once. Input tensors are never modified.
/// - Rounding: 16-bit data is normalized in Float32, and results are rounded once, to nearest even.
///   A sum is computed over short blocks in Float32 that are added in Float64, or in Float64
///   throughout (docs/decisions/001-blocks-merged-in-double.md).
/// - Range: on the CPU results are as accurate for magnitudes of 1e-30 and 1e30 as for 1, of x, of
///   x - mean, of weight, dy and 1 / invstd, in any combination. x and mean may be as large as
///   their dtype's largest value. A result beyond its dtype's range is infinite; so is, in a fused
///   call, a normalized value before the addition. Below 2^-126, the smallest normal Float32,
///   digits may be lost: y has an error of at most 2^-126, dx of sqrt(M) * 2^-126, a sum of M terms
///   of M * 2^-126. eps may be as small as 1e-200. Devices have less range: docs/targets.md.
/// - Statistics: mean, invstd and the moments are (C) in Float64 for every dtype of x, because a
///   mean rounded to float32 costs the gradient three digits at mean/std = 1e6. As arguments they
///   may also be Float32.
/// - `out`, if defined, receives the result and is returned. It has x's shape and dtype, and any
///   strides under which no two elements share memory. It may be x itself (dy in a backward); any
///   other overlap with an argument is an error. If `out` is undefined, the result is a new
///   tensor without gaps in x's layout: channels-last if x is, otherwise row-major.
/// - Determinism: the same bits for any number of threads, and in every run on one machine. Some
///   shapes take several kernels (docs/decisions/010-passes-over-views.md). Shape,
///   strides, dtype and target, the address of `out` and the streaming threshold decide which
///   kernels run and in which order parts are merged; the number of threads does not.
/// - Errors: ShapeError, DTypeError, DeviceError, ValueError, KernelError. Each message names the
///   function, the value it got and the value it wanted. A call that throws has written nothing,
///   except if a kernel fails or memory runs out within the call: then `out` may hold any values.
///
/// Formulas: Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1 and section 3; mean and
/// variance from sums about a shift, Chan, Golub and LeVeque 1983; parts of a tensor are merged by
/// (count, mean, M2), the same authors 1979.

#pragma GCC visibility push(default)

/// Batch normalization as stateless functions. halnorm/functional.h describes their common rules:
/// shapes, dtypes, range, aliasing, determinism and errors.
namespace halnorm::HALNORM_ABI::functional {

/// The result of a training forward.
struct BatchNormForward {
  Tensor y;       ///< x's shape and dtype
  Tensor mean;    ///< (C), Float64: the batch mean
  Tensor invstd;  ///< (C), Float64: 1 / sqrt(var + eps) with the biased batch variance
};

/// Gradients with respect to x, weight and bias.
struct BatchNormBackward {
  Tensor dx;       ///< x's shape and dtype
  Tensor dweight;  ///< (C) in weight's dtype; without a weight Float64 if x is, otherwise Float32
  Tensor dbias;    ///< like dweight
};

/// Statistics that can be merged with those of another batch.
struct Moments {
  Tensor count;  ///< 0-d, Float64: M
  Tensor mean;   ///< (C), Float64
  Tensor m2;     ///< (C), Float64: the sum of squared deviations from the mean
};

/// Per-channel sums of a backward pass.
struct BackwardReduce {
  Tensor sum_dy;      ///< (C), Float64: sum(dy)
  Tensor sum_dy_xmu;  ///< (C), Float64: sum(dy * (x - mean))
  Tensor dweight;     ///< as in BatchNormBackward
  Tensor dbias;       ///< as in BatchNormBackward
};

/// The whole operation, like torch.nn.functional.batch_norm. With `training`, or without running
/// statistics, the function normalizes with the batch statistics, otherwise with the running ones.
/// If `training` is true and running statistics are given, they are updated in place with factor
/// `momentum`, running_var with the unbiased variance; without a momentum they are not updated.
/// @throws ValueError if only one of running_mean and running_var is defined, if eps is negative or
///         not finite, or if M == 1 with batch statistics. M == 0 returns an empty y.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training,
                  std::optional<double> momentum, double eps, Tensor out = {});

/// y = (x - mean) * invstd * weight + bias with the batch's mean and biased variance.
BatchNormForward batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  double eps, Tensor out = {});

/// batch_norm_train that also updates running_mean and running_var (both defined):
/// running = (1 - factor) * running + factor * batch. x is not read again for this.
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
/// 2^53. If a count is 0, its mean and m2 are ignored.
Moments merge(const Moments& a, const Moments& b);

/// running_mean = (1 - factor) * running_mean + factor * mean, and
/// running_var = (1 - factor) * running_var + factor * m2 / (count - 1), the unbiased variance.
/// A count of 0 changes nothing.
/// @throws ValueError if count is 1 or not a whole number from 0 to 2^53; ShapeError if the moments
///         overlap the running statistics in memory.
void update_running_stats(const Tensor& running_mean, const Tensor& running_var,
                          const Moments& moments, double factor);

/// The second half of batch_norm_train, with given statistics, as in a synchronized layer:
/// y = (x - mean) * invstd * weight + bias.
Tensor batch_norm_elemt(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& mean, const Tensor& invstd, Tensor out = {});

/// The first half of batch_norm_backward: the sums that a synchronized layer adds over its ranks.
BackwardReduce batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& mean,
                                          const Tensor& invstd, const Tensor& weight);

/// The second half of batch_norm_backward, with given sums: dx = weight * invstd *
/// (dy - sum_dy / count - (x - mean) * invstd^2 * sum_dy_xmu / count). count is a 0-d tensor, a
/// whole number from 0 to 2^53. If count is 0, both sums are taken as 0.
Tensor batch_norm_backward_elemt(const Tensor& dy, const Tensor& x, const Tensor& mean,
                                 const Tensor& invstd, const Tensor& weight, const Tensor& sum_dy,
                                 const Tensor& sum_dy_xmu, const Tensor& count, Tensor out = {});

/// Weight and bias of a layer into which a batch normalization was folded.
struct FusedWeights {
  Tensor weight;  ///< the layer's weight times the scale
  Tensor bias;    ///< (C) in weight's dtype
};

/// Folds a batch normalization in eval mode into the convolution before it:
/// scale = bn_w / sqrt(bn_rv + bn_eps), weight = conv_w * scale,
/// bias = (conv_b - bn_rm) * scale + bn_b. conv_w is (C, ...), with `transpose` (in, C, ...), of
/// any floating dtype. An undefined conv_b means 0, an undefined bn_w 1, an undefined bn_b 0.
/// Arguments are those of torch.nn.utils.fusion. Computed in double on the host and rounded once to
/// conv_w's dtype.
/// @throws ShapeError, DTypeError or DeviceError; ValueError if bn_eps is negative or not finite.
FusedWeights fuse_conv_bn_weights(const Tensor& conv_w, const Tensor& conv_b, const Tensor& bn_rm,
                                  const Tensor& bn_rv, double bn_eps, const Tensor& bn_w,
                                  const Tensor& bn_b, bool transpose = false);

/// Folds a batch normalization in eval mode into the linear layer before it; linear_w is (C, in).
/// Everything else is as in fuse_conv_bn_weights().
FusedWeights fuse_linear_bn_weights(const Tensor& linear_w, const Tensor& linear_b,
                                    const Tensor& bn_rm, const Tensor& bn_rv, double bn_eps,
                                    const Tensor& bn_w, const Tensor& bn_b);

}  // namespace halnorm::HALNORM_ABI::functional

#pragma GCC visibility pop
