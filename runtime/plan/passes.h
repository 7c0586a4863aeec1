#pragma once

#include "plan/view.h"

/// @file
/// The operations on views, whatever their size and shape: each runs one kernel, or several on
/// parts of the data, or on another view of it, where that is faster or the only way.
///
/// Arguments are checked; all views have one shape and layout and are not empty; mean, invstd, m2
/// and the sums are dense Float64; weight, bias and running statistics have the kernel's parameter
/// dtype. y may be x, and dx may be dy. `function` names the caller in a KernelError.

namespace halnorm::detail {

/// Running statistics, one dense value per channel in the dtype of the kernel's parameters, and the
/// factor of the batch's.
struct RunningStatistics {
  Channels mean, var;
  double factor;
};

/// If `running` is not null, the kernel also updates the running statistics in the same launch
/// (devices only).
void train_pass(const char* function, const View& x, const Channels& weight, const Channels& bias,
                double eps, const View& y, const Channels& mean, const Channels& invstd,
                const Channels& m2, const RunningStatistics* running = nullptr);

void infer_pass(const char* function, const View& x, const Channels& running_mean,
                const Channels& running_var, const Channels& weight, const Channels& bias,
                double eps, const View& y);

void moments_pass(const char* function, const View& x, const Channels& mean, const Channels& m2);

/// y from given statistics.
void normalize_pass(const char* function, const View& x, const Channels& weight,
                    const Channels& bias, const Channels& mean, const Channels& invstd,
                    const View& y);

/// `adds`: dweight and dbias are those of a ChannelPair that goes along, and are added to.
void backward_pass(const char* function, const View& dy, const View& x, const Channels& weight,
                   const Channels& mean, const Channels& invstd, const View& dx,
                   const Channels& dweight, const Channels& dbias, bool adds = false);

void backward_infer_pass(const char* function, const View& dy, const View& x,
                         const Channels& weight, const Channels& running_mean,
                         const Channels& running_var, double eps, const View& dx,
                         const Channels& dweight, const Channels& dbias);

void sums_pass(const char* function, const View& dy, const View& x, const Channels& mean,
               const Channels& sum_dy, const Channels& sum_dy_xmu);

/// dx from given sums.
void gradient_pass(const char* function, const View& dy, const View& x, const Channels& weight,
                   const Channels& mean, const Channels& invstd, const Channels& sum_dy,
                   const Channels& sum_dy_xmu, double count, const View& dx);

}  // namespace halnorm::detail
