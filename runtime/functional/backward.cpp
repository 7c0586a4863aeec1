#include "functional/backward.h"

#include <tuple>
#include <utility>
#include <vector>

#include "base/strides.h"
#include "functional/arguments/channel_pair.h"
#include "functional/arguments/check.h"
#include "functional/arguments/parameter_types.h"
#include "functional/channel_math.h"
#include "functional/range/gradient_fallback.h"
#include "functional/range/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execution/execute.h"

namespace halnorm::HALNORM_ABI {

namespace functional {

using detail::ChannelPair;
using detail::Extents;
using detail::GradientFallback;
using detail::InvstdOrVar;

namespace {

BatchNormBackward empty_result(const Tensor& x, DType parameters, const Tensor& out) {
  const std::int64_t channels = x.shape()[1];
  return {detail::empty_result(x, out), Tensor::zeros({channels}, parameters, x.device()),
          Tensor::zeros({channels}, parameters, x.device())};
}

/// The gradients of a call in Float64, rounded to the dtypes of the narrow call.
BatchNormBackward narrowed(const char* function, const BatchNormBackward& r, const Tensor& x,
                           const Tensor& weight, Tensor out) {
  auto [dweight, dbias] =
      detail::channels_to(function, r.dweight, r.dbias, detail::gradient_dtype(weight, x));
  return {detail::narrowed(r.dx, x, std::move(out)), std::move(dweight), std::move(dbias)};
}

/// A tensor for dweight or dbias of a kernel.
Tensor empty_gradient(const Tensor& x) {
  return Tensor::empty({x.shape()[1]}, detail::kernel_gradient_dtype(x), x.device());
}

/// Rounds the kernel's dweight and dbias once. They are undefined if the kernel added to others.
BatchNormBackward with_rounded(const char* function, BatchNormBackward r, DType dtype) {
  if (r.dweight.defined()) {
    std::tie(r.dweight, r.dbias) = detail::channels_to(function, r.dweight, r.dbias, dtype);
  }
  return r;
}

void store_channel(const BatchNormBackward& r, std::int64_t c, const BatchNormBackward& result) {
  detail::store_channel(r.dx, c, result.dx);
  detail::store_channel(r.dweight, c, result.dweight);
  detail::store_channel(r.dbias, c, result.dbias);
}

/// Arguments are checked, mean and invstd are Float64, weight has the kernel's dtype, and the batch
/// is not empty.
BatchNormBackward run_backward(const char* function, const Tensor& dy, const Tensor& x,
                               const Tensor& weight, const Tensor& mean, const Tensor& invstd,
                               const Tensor& out, const ChannelPair* sums) {
  const std::int64_t channels = x.shape()[1];
  detail::DataOperands data(detail::layout_of(x), {&x, &dy}, out);
  const bool adds =
      sums != nullptr && sums->kernel_can_update(x, {&dy, &x, &weight, &mean, &invstd, &out});
  const Tensor dweight = adds ? sums->first : empty_gradient(x);
  const Tensor dbias = adds ? sums->second : empty_gradient(x);
  detail::execute(function,
                  detail::BackwardOperands{.dy = data.input(1),
                                           .x = data.input(0),
                                           .weight = detail::weight_channels(weight, channels, x),
                                           .mean = detail::channels_of(mean),
                                           .invstd = detail::channels_of(invstd),
                                           .dx = data.output(),
                                           .dweight = detail::channels_of(dweight),
                                           .dbias = detail::channels_of(dbias),
                                           .adds = adds});
  return {data.finish(), adds ? Tensor() : dweight, adds ? Tensor() : dbias};
}

/// The same, and again in float64 for the channels that leave float32's range.
BatchNormBackward run_with_fallback(const char* function, const Tensor& dy_arg, const Tensor& x,
                                    const Tensor& weight, const Tensor& mean, const Tensor& invstd,
                                    const Tensor& out, const ChannelPair* sums) {
  const InvstdOrVar invstds(invstd);
  GradientFallback fallback(x, mean, weight, invstds);
  const Tensor dy = fallback.keep(function, dy_arg, out);
  BatchNormBackward r = run_backward(function, dy, x, weight, mean, invstd, out, sums);
  if (r.dweight.defined()) {
    for (const std::int64_t c : fallback.channels(r.dweight, r.dbias)) {
      store_channel(r, c,
                    run_backward(function, detail::range_fallback_channel(dy, c),
                                 detail::range_fallback_channel(x, c),
                                 detail::range_fallback_channel(weight, c),
                                 detail::range_fallback_channel(mean, c),
                                 detail::range_fallback_channel(invstd, c), Tensor(), nullptr));
    }
  }
  return r;
}

/// Arguments are checked, the parameters have the kernel's dtype, and the batch is not empty.
BatchNormBackward run_backward_infer(const char* function, const Tensor& dy_arg, const Tensor& x,
                                     const Tensor& weight, const Tensor& running_mean,
                                     const Tensor& running_var, double eps, const Tensor& out) {
  // On a device the kernel of dx may run before the kernel of the sums, which reads dy.
  const bool keeps = out.defined() && x.device() != Device::cpu();
  const Tensor dy = keeps ? dy_arg.clone() : dy_arg;
  detail::DataOperands data(detail::layout_of(x), {&x, &dy}, out);
  const Tensor dweight = empty_gradient(x);
  const Tensor dbias = empty_gradient(x);
  detail::execute(function, detail::BackwardInferOperands{
                                .dy = data.input(1),
                                .x = data.input(0),
                                .weight = detail::weight_channels(weight, x.shape()[1], x),
                                .running_mean = detail::channels_of(running_mean),
                                .running_var = detail::channels_of(running_var),
                                .eps = eps,
                                .dx = data.output(),
                                .dweight = detail::channels_of(dweight),
                                .dbias = detail::channels_of(dbias)});
  return {data.finish(), dweight, dbias};
}

/// The same, and again in float64 for the channels that leave float32's range. Arguments of this
/// and the next are checked, and the batch is not empty.
BatchNormBackward run_infer_with_fallback(const char* function, const Tensor& dy_arg,
                                          const Tensor& x_arg, const Tensor& weight_arg,
                                          const Tensor& mean_arg, const Tensor& var_arg, double eps,
                                          const Tensor& out) {
  const detail::LoadedParameter weight(weight_arg, x_arg.dtype());
  const detail::LoadedParameter mean(mean_arg, x_arg.dtype());
  const detail::LoadedParameter var(var_arg, x_arg.dtype());
  const InvstdOrVar invstd(detail::channels_of(var.get()), eps);
  GradientFallback fallback(x_arg, mean.get(), weight.get(), invstd);
  const Tensor dy = fallback.keep(function, dy_arg, out);
  BatchNormBackward r =
      run_backward_infer(function, dy, x_arg, weight.get(), mean.get(), var.get(), eps, out);
  for (const std::int64_t c : fallback.channels(r.dweight, r.dbias)) {
    store_channel(r, c,
                  run_backward_infer(function, detail::range_fallback_channel(dy, c),
                                     detail::range_fallback_channel(x_arg, c),
                                     detail::range_fallback_channel(weight.get(), c),
                                     detail::range_fallback_channel(mean.get(), c),
                                     detail::range_fallback_channel(var.get(), c), eps, Tensor()));
  }
  return r;
}

BackwardReduce run_reduce(const char* function, const Tensor& dy_arg, const Tensor& x_arg,
                          const Tensor& mean, const Tensor& invstd, DType dtype) {
  BackwardReduce r;
  std::tie(r.sum_dy, r.sum_dy_xmu) = detail::gradient_sums(function, dy_arg, x_arg, mean);
  r.dweight = detail::multiply_channels(function, r.sum_dy_xmu, invstd);
  const InvstdOrVar invstds(invstd);
  const Tensor no_weight;
  const GradientFallback fallback(x_arg, mean, no_weight, invstds);
  for (const std::int64_t c : fallback.channels(r.dweight, r.sum_dy)) {
    const auto [sum_dy, sum_dy_xmu] = detail::gradient_sums(
        function, detail::range_fallback_channel(dy_arg, c),
        detail::range_fallback_channel(x_arg, c), detail::range_fallback_channel(mean, c));
    detail::store_channel(r.sum_dy, c, sum_dy);
    detail::store_channel(r.sum_dy_xmu, c, sum_dy_xmu);
    detail::store_channel(
        r.dweight, c,
        detail::multiply_channels(function, sum_dy_xmu, detail::range_fallback_channel(invstd, c)));
  }
  std::tie(r.dweight, r.dbias) = detail::channels_to(function, r.dweight, r.sum_dy, dtype);
  return r;
}

}  // namespace

BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean, const Tensor& invstd, Tensor out) {
  return batch_norm_backward(dy, x, weight, mean, invstd, std::move(out), nullptr);
}

BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean_arg, const Tensor& invstd_arg, Tensor out,
                                      const ChannelPair* sums) {
  constexpr const char* function = "batch_norm_backward";
  detail::check_linked(function, detail::Operation::batch_norm_backward);
  const Extents e = detail::check_gradient(function, dy, x, weight);
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", invstd_arg, e.C, x.device());
  detail::check_out(function, out, dy, {&dy, &x, &weight, &mean_arg, &invstd_arg});
  return detail::backward({function, dy, x, weight, mean, invstd, out, sums});
}

BatchNormBackward batch_norm_backward_infer(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                            const Tensor& running_mean, const Tensor& running_var,
                                            double eps, Tensor out) {
  constexpr const char* function = "batch_norm_backward_infer";
  detail::check_linked(function, detail::Operation::batch_norm_backward_infer);
  const Extents e = detail::check_gradient(function, dy, x, weight);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_eps(function, eps);
  detail::check_out(function, out, dy, {&dy, &x, &weight, &running_mean, &running_var});
  return detail::backward_infer(
      {function, dy, x, weight, running_mean, running_var, out, nullptr, eps});
}

BackwardReduce batch_norm_backward_reduce(const Tensor& dy_arg, const Tensor& x_arg,
                                          const Tensor& mean_arg, const Tensor& invstd_arg,
                                          const Tensor& weight) {
  constexpr const char* function = "batch_norm_backward_reduce";
  detail::check_linked(function, detail::Operation::batch_norm_backward_reduce);
  const Extents e = detail::check_gradient(function, dy_arg, x_arg, weight);
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, x_arg.device());
  const Tensor invstd =
      detail::check_statistic(function, "invstd", invstd_arg, e.C, x_arg.device());
  const bool widens = detail::wants_widened_data(x_arg, {&weight});
  const DType dtype = detail::gradient_dtype(weight, x_arg);
  const Device device = x_arg.device();
  if (e.numel() == 0) {
    return {Tensor::zeros({e.C}, DType::Float64, device),
            Tensor::zeros({e.C}, DType::Float64, device), Tensor::zeros({e.C}, dtype, device),
            Tensor::zeros({e.C}, dtype, device)};
  }
  return widens ? run_reduce(function, detail::widened(dy_arg), detail::widened(x_arg), mean,
                             invstd, dtype)
                : run_reduce(function, dy_arg, x_arg, mean, invstd, dtype);
}

}  // namespace functional

functional::BatchNormBackward detail::backward(const BackwardCall& call) {
  const auto& [function, dy, x, weight_arg, mean, invstd, out, sums, eps] = call;
  if (x.numel() == 0) {
    return functional::empty_result(x, gradient_dtype(weight_arg, x), out);
  }
  if (wants_widened_data(x, {&weight_arg})) {
    return functional::narrowed(
        function,
        functional::run_with_fallback(function, widened(dy), widened(x), weight_arg, mean, invstd,
                                      Tensor(), nullptr),
        x, weight_arg, out);
  }
  const LoadedParameter weight(weight_arg, x.dtype());
  return functional::with_rounded(
      function,
      functional::run_with_fallback(function, dy, x, weight.get(), mean, invstd, out, sums),
      gradient_dtype(weight_arg, x));
}

functional::BatchNormBackward detail::backward_infer(const BackwardCall& call) {
  const auto& [function, dy, x, weight, mean, var, out, sums, eps] = call;
  if (x.numel() == 0) {
    return functional::empty_result(x, gradient_dtype(weight, x), out);
  }
  if (wants_widened_data(x, {&weight, &mean, &var})) {
    return functional::narrowed(
        function,
        functional::run_infer_with_fallback(function, widened(dy), widened(x), weight, mean, var,
                                            eps, Tensor()),
        x, weight, out);
  }
  return functional::with_rounded(
      function, functional::run_infer_with_fallback(function, dy, x, weight, mean, var, eps, out),
      gradient_dtype(weight, x));
}

}  // namespace halnorm::HALNORM_ABI
