#include <cmath>
#include <vector>

#include "base/strides.h"
#include "functional/arguments/check.h"
#include "halnorm/error.h"
#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::functional {

namespace {

/// The names of a function's arguments, for error messages.
struct Names {
  const char* function;
  const char* weight;
  const char* bias;
};

std::vector<double> values_or(const Tensor& given, std::int64_t channels, double otherwise) {
  return given.defined() ? given.to_vector<double>()
                         : std::vector<double>(static_cast<std::size_t>(channels), otherwise);
}

/// The operands of y = x * scale + shift, per channel.
struct Affine {
  std::vector<double> scale, shift;
};

Affine affine_of(const Tensor& mean, const Tensor& var, double eps, const Tensor& weight,
                 const Tensor& bias) {
  const std::int64_t channels = mean.numel();
  Affine all{values_or(weight, channels, 1), values_or(bias, channels, 0)};
  const std::vector<double> means = mean.to_vector<double>();
  const std::vector<double> variances = var.to_vector<double>();
  for (std::size_t c = 0; c < means.size(); ++c) {
    all.scale[c] /= std::sqrt(variances[c] + eps);
    all.shift[c] -= means[c] * all.scale[c];
  }
  return all;
}

void check(const Names& names, const Tensor& weight, const Tensor& bias, const Tensor& mean,
           const Tensor& var, double eps, const Tensor& bn_weight, const Tensor& bn_bias,
           std::int64_t axis) {
  const char* function = names.function;
  if (!weight.defined()) {
    throw ValueError(std::string(function) + ": " + names.weight +
                     " is undefined, wanted a tensor");
  }
  if (!is_floating(weight.dtype())) {
    throw DTypeError(std::string(function) + ": " + names.weight + " is " +
                     std::string(name_of(weight.dtype())) + ", wanted a floating dtype");
  }
  if (weight.dim() < 2) {
    throw ShapeError(std::string(function) + ": " + names.weight + " has shape " +
                     detail::to_string(weight.shape()) + ", wanted at least 2 axes");
  }
  const std::int64_t channels = weight.size(axis);
  detail::check_parameter(function, names.bias, bias, weight, channels, true);
  detail::check_parameter(function, "bn_rm", mean, weight, channels, false);
  detail::check_parameter(function, "bn_rv", var, weight, channels, false);
  detail::check_parameter(function, "bn_w", bn_weight, weight, channels, true);
  detail::check_parameter(function, "bn_b", bn_bias, weight, channels, true);
  detail::check_eps(function, eps);
}

FusedWeights fuse(const Names& names, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                  const Tensor& var, double eps, const Tensor& bn_weight, const Tensor& bn_bias,
                  std::int64_t axis) {
  check(names, weight, bias, mean, var, eps, bn_weight, bn_bias, axis);
  const auto channels = static_cast<std::size_t>(weight.size(axis));
  const Affine bn = affine_of(mean, var, eps, bn_weight, bn_bias);
  std::vector<double> weights = weight.to_vector<double>();
  std::size_t inner = 1;  // elements of one channel that follow each other
  for (std::int64_t i = axis + 1; i < weight.dim(); ++i) {
    inner *= static_cast<std::size_t>(weight.size(i));
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] *= bn.scale[i / inner % channels];
  }
  std::vector<double> biases = values_or(bias, weight.size(axis), 0);
  for (std::size_t c = 0; c < channels; ++c) {
    biases[c] = biases[c] * bn.scale[c] + bn.shift[c];
  }
  const auto like_weight = [&](const std::vector<double>& values, Shape shape) {
    return Tensor::from<double>(values, std::move(shape)).to(weight.dtype()).to(weight.device());
  };
  return {like_weight(weights, weight.shape()), like_weight(biases, {weight.size(axis)})};
}

}  // namespace

FusedWeights fuse_conv_bn_weights(const Tensor& conv_w, const Tensor& conv_b, const Tensor& bn_rm,
                                  const Tensor& bn_rv, double bn_eps, const Tensor& bn_w,
                                  const Tensor& bn_b, bool transpose) {
  return fuse({"fuse_conv_bn_weights", "conv_w", "conv_b"}, conv_w, conv_b, bn_rm, bn_rv, bn_eps,
              bn_w, bn_b, transpose ? 1 : 0);
}

FusedWeights fuse_linear_bn_weights(const Tensor& linear_w, const Tensor& linear_b,
                                    const Tensor& bn_rm, const Tensor& bn_rv, double bn_eps,
                                    const Tensor& bn_w, const Tensor& bn_b) {
  if (linear_w.defined() && linear_w.dim() != 2) {
    throw ShapeError("fuse_linear_bn_weights: linear_w has shape " +
                     detail::to_string(linear_w.shape()) + ", wanted (C, in)");
  }
  return fuse({"fuse_linear_bn_weights", "linear_w", "linear_b"}, linear_w, linear_b, bn_rm, bn_rv,
              bn_eps, bn_w, bn_b, 0);
}

}  // namespace halnorm::HALNORM_ABI::functional
