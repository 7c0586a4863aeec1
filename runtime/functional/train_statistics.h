#pragma once

#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

/// The statistics of a training forward, one Float64 value per channel each.
struct TrainStatistics {
  Tensor mean, invstd, m2;
};

}  // namespace detail

namespace functional {

/// The public form with buffers for the statistics: a defined tensor of C values is used again, so
/// that no other tensor may share its memory. m2 is left in `buffers`; mean and invstd are in the
/// result.
BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps, Tensor out,
                                         detail::TrainStatistics& buffers);

}  // namespace functional

}  // namespace halnorm::HALNORM_ABI
