#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/tensor.h"

/// @file
/// Channels-last data, and the results of every operation on it.

namespace every_operation {

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;
namespace functional = halnorm::functional;

/// A permutation of axes from (N, D..., C) to (N, C, D...).
inline Tensor channels_second(Tensor t) {
  for (auto axis = t.dim() - 1; axis > 1; --axis) {
    t = t.transpose(axis - 1, axis);
  }
  return t;
}

inline Shape channels_last(const Shape& shape) {
  Shape stored = shape;
  stored.erase(stored.begin() + 1);
  stored.push_back(shape[1]);
  return stored;
}

/// A dense tensor of this shape with its channels innermost.
inline Tensor new_channels_last(const Shape& shape, DType dtype) {
  return channels_second(Tensor::empty(channels_last(shape), dtype));
}

inline bool is_channels_last(const Tensor& t) {
  return t.strides() == new_channels_last(t.shape(), t.dtype()).strides();
}

inline Tensor dense_copy(const Tensor& t) {
  Tensor copy = new_channels_last(t.shape(), t.dtype());
  copy.copy_(t);
  return copy;
}

struct Results {
  std::vector<std::pair<const char*, Tensor>> data;      ///< laid out like x
  std::vector<std::pair<const char*, Tensor>> channels;  ///< one value each
};

/// Every operation, with `out()` for each of its outputs.
// NOLINTNEXTLINE(readability-function-size): a list
inline Results all_operations(const Tensor& x, const Tensor& dy, const Tensor& addend,
                              const std::function<Tensor()>& out) {
  const std::int64_t channels = x.shape()[1];
  const DType dtype = x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  const Tensor weight = Tensor::randn({channels}, 11, dtype);
  const Tensor bias = Tensor::randn({channels}, 12, dtype);
  const Tensor mean = Tensor::randn({channels}, 13, dtype);
  const Tensor var = Tensor::full({channels}, 2, dtype);
  const Tensor new_mean = mean.clone();
  const Tensor new_var = var.clone();
  const auto train = functional::batch_norm_train(x, weight, bias, 1e-5, out());
  const auto update =
      functional::batch_norm_train_update(x, new_mean, new_var, weight, bias, 0.1, 1e-5, out());
  const auto moments = functional::batch_norm_moments(x);
  const auto backward =
      functional::batch_norm_backward(dy, x, weight, train.mean, train.invstd, out());
  const auto backward_infer =
      functional::batch_norm_backward_infer(dy, x, weight, mean, var, 1e-5, out());
  const auto sums = functional::batch_norm_backward_reduce(dy, x, train.mean, train.invstd, weight);
  const auto fused = functional::batch_norm_fused_train(x, addend, weight, bias, 1e-5, out());
  const auto fused_backward = functional::batch_norm_fused_backward(
      dy, x, fused.y, weight, fused.mean, fused.invstd, out());
  const auto fused_infer_backward =
      functional::batch_norm_fused_backward_infer(dy, x, fused.y, weight, mean, var, 1e-5, out());
  return {
      {{"train", train.y},
       {"train_update", update.y},
       {"infer", functional::batch_norm_infer(x, mean, var, weight, bias, 1e-5, out())},
       {"elemt", functional::batch_norm_elemt(x, weight, bias, train.mean, train.invstd, out())},
       {"backward", backward.dx},
       {"backward_infer", backward_infer.dx},
       {"backward_elemt",
        functional::batch_norm_backward_elemt(dy, x, train.mean, train.invstd, weight, sums.sum_dy,
                                              sums.sum_dy_xmu, moments.count, out())},
       {"fused_train", fused.y},
       {"fused_infer",
        functional::batch_norm_fused_infer(x, addend, mean, var, weight, bias, 1e-5, out())},
       {"fused_backward", fused_backward.dx},
       {"fused_backward_infer", fused_infer_backward.dx}},
      {{"mean", train.mean},
       {"invstd", train.invstd},
       {"running_mean", new_mean},
       {"running_var", new_var},
       {"moments.mean", moments.mean},
       {"moments.m2", moments.m2},
       {"dweight", backward.dweight},
       {"dbias", backward.dbias},
       {"infer dweight", backward_infer.dweight},
       {"sum_dy", sums.sum_dy},
       {"sum_dy_xmu", sums.sum_dy_xmu},
       {"fused dweight", fused_backward.dweight},
       {"fused infer dbias", fused_infer_backward.dbias},
       {"daddend as numbers", fused_backward.daddend.reshape({fused_backward.daddend.numel()})}}};
}

}  // namespace every_operation
