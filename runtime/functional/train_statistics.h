#pragma once

#include "halnorm/functional.h"

namespace halnorm {

namespace detail {

/// The statistics of a training forward, one Float64 value per channel each.
struct TrainStatistics {
  Tensor mean, invstd, m2;
};

}  // namespace detail

namespace functional {

/// The public form, but in `room`'s tensors where they are defined and of the right size; nobody
/// else holds them. Leaves m2 there; the others are in what it returns.
BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps, Tensor out,
                                         detail::TrainStatistics& room);

}  // namespace functional

}  // namespace halnorm
