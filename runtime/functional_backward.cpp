#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "channel_pair.h"
#include "device_channels.h"
#include "halnorm/functional.h"
#include "output.h"
#include "parameter_types.h"
#include "passes.h"
#include "strided.h"
#include "validate.h"
#include "wide.h"

namespace halnorm::functional {

using detail::ChannelPair;
using detail::Extents;
using detail::Layout;

namespace {

Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x,
                       const Tensor& weight) {
  const Extents e = detail::check_data(function, "x", x);
  detail::check_like(function, "dy", dy, x);
  detail::check_parameter(function, "weight", weight, x, e.C, true);
  return e;
}

BatchNormBackward nothing(const Tensor& x, const Extents& e, DType parameters, Tensor out) {
  return {out.defined() ? std::move(out) : detail::empty_in_layout(x, Layout::ncl),
          Tensor::zeros({e.C}, parameters, x.device()),
          Tensor::zeros({e.C}, parameters, x.device())};
}

/// The gradients of a call in Float64 as the narrow one gives them.
BatchNormBackward narrowed(const BatchNormBackward& r, const Tensor& x, const Tensor& weight,
                           Tensor out) {
  auto [dweight, dbias] =
      detail::channels_to(r.dweight, r.dbias, detail::gradient_dtype(weight, x));
  return {detail::narrowed(r.dx, x, std::move(out)), std::move(dweight), std::move(dbias)};
}

/// dweight or dbias as a kernel gives it.
Tensor empty_gradient(const Tensor& x) {
  return Tensor::empty({x.shape()[1]}, detail::kernel_gradient_dtype(x), x.device());
}

/// Arguments are checked, mean and invstd are Float64, and the batch is not empty.
BatchNormBackward run_backward(const char* function, const Tensor& given_dy, const Tensor& given_x,
                               const Tensor& given_weight, const Tensor& mean, const Tensor& invstd,
                               const Tensor& out, const ChannelPair* sums) {
  const detail::LoadedParameter weight(given_weight, given_x.dtype());
  const Extents e = detail::extents_of(given_x);
  const Layout layout = detail::layout_of(given_x);
  const Tensor x = detail::in_layout(given_x, layout);
  const Tensor dy = detail::in_layout(given_dy, layout);
  detail::Output dx(out, given_x, layout);
  const bool adds =
      sums != nullptr && sums->goes_along(x, {&dy, &x, &weight.get(), &mean, &invstd, &out});
  const Tensor dweight = adds ? sums->first : empty_gradient(given_x);
  const Tensor dbias = adds ? sums->second : empty_gradient(given_x);
  detail::backward_pass(function, detail::view_of(dy, layout), detail::view_of(x, layout),
                        detail::weight_channels(weight.get(), e.C, x), detail::channels_of(mean),
                        detail::channels_of(invstd), detail::view_of(dx.target(), layout),
                        detail::channels_of(dweight), detail::channels_of(dbias), adds);
  if (adds) {
    return {dx.finish(), Tensor(), Tensor()};
  }
  const DType dtype = detail::gradient_dtype(given_weight, given_x);
  auto [to_weight, to_bias] = detail::channels_to(dweight, dbias, dtype);
  return {dx.finish(), std::move(to_weight), std::move(to_bias)};
}

/// A sum over so many values: over none it is 0, whatever the tensor holds.
Tensor sum_over(double count, const Tensor& sum) {
  return count > 0 ? sum : Tensor::zeros(sum.shape(), DType::Float64, sum.device());
}

}  // namespace

BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean, const Tensor& invstd, Tensor out) {
  return batch_norm_backward(dy, x, weight, mean, invstd, std::move(out), nullptr);
}

BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& given_mean, const Tensor& given_invstd,
                                      Tensor out, const ChannelPair* sums) {
  constexpr const char* function = "batch_norm_backward";
  const Extents e = check_gradient(function, dy, x, weight);
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", given_invstd, e.C, x.device());
  detail::check_out(function, out, dy, {&dy, &x, &weight, &given_mean, &given_invstd});
  if (e.numel() == 0) {
    return nothing(x, e, detail::gradient_dtype(weight, x), std::move(out));
  }
  if (detail::wants_wide_data(x, {&weight})) {
    return narrowed(
        batch_norm_backward(detail::widened(dy), detail::widened(x), weight, mean, invstd), x,
        weight, std::move(out));
  }
  // Before dy may be overwritten.
  const std::vector<std::int64_t> steep = detail::steep_channels(x, invstd);
  std::vector<BatchNormBackward> wide;
  for (const std::int64_t c : steep) {
    wide.push_back(run_backward(function, detail::wide_channel(dy, c), detail::wide_channel(x, c),
                                detail::wide_channel(weight, c), detail::channel_of(mean, c),
                                detail::channel_of(invstd, c), Tensor(), nullptr));
  }
  BatchNormBackward r = run_backward(function, dy, x, weight, mean, invstd, out, sums);
  for (std::size_t i = 0; i < steep.size(); ++i) {
    detail::channel_of(r.dx, steep[i]).copy_(wide[i].dx);
    detail::channel_of(r.dweight, steep[i]).copy_(wide[i].dweight);
    detail::channel_of(r.dbias, steep[i]).copy_(wide[i].dbias);
  }
  return r;
}

BatchNormBackward batch_norm_backward_infer(const Tensor& given_dy, const Tensor& given_x,
                                            const Tensor& given_weight, const Tensor& given_mean,
                                            const Tensor& given_var, double eps, Tensor out) {
  constexpr const char* function = "batch_norm_backward_infer";
  const Extents e = check_gradient(function, given_dy, given_x, given_weight);
  detail::check_parameter(function, "running_mean", given_mean, given_x, e.C, false);
  detail::check_parameter(function, "running_var", given_var, given_x, e.C, false);
  detail::check_same_dtype(function, "running_mean", given_mean, "running_var", given_var);
  detail::check_eps(function, eps);
  detail::check_out(function, out, given_dy,
                    {&given_dy, &given_x, &given_weight, &given_mean, &given_var});
  if (e.numel() == 0) {
    return nothing(given_x, e, detail::gradient_dtype(given_weight, given_x), std::move(out));
  }
  if (detail::wants_wide_data(given_x, {&given_weight, &given_mean, &given_var})) {
    return narrowed(batch_norm_backward_infer(detail::widened(given_dy), detail::widened(given_x),
                                              given_weight, given_mean, given_var, eps),
                    given_x, given_weight, std::move(out));
  }
  const detail::LoadedParameter weight(given_weight, given_x.dtype());
  const detail::LoadedParameter running_mean(given_mean, given_x.dtype());
  const detail::LoadedParameter running_var(given_var, given_x.dtype());
  const Layout layout = detail::layout_of(given_x);
  const Tensor x = detail::in_layout(given_x, layout);
  // On a device the kernel that writes dx may be the first to run.
  const bool keeps = out.defined() && given_x.device() != Device::cpu();
  const Tensor dy = detail::in_layout(keeps ? given_dy.clone() : given_dy, layout);
  detail::Output dx(out, given_x, layout);
  const Tensor dweight = empty_gradient(given_x);
  const Tensor dbias = empty_gradient(given_x);
  detail::backward_infer_pass(
      function, detail::view_of(dy, layout), detail::view_of(x, layout),
      detail::weight_channels(weight.get(), e.C, x), detail::channels_of(running_mean.get()),
      detail::channels_of(running_var.get()), eps, detail::view_of(dx.target(), layout),
      detail::channels_of(dweight), detail::channels_of(dbias));
  const DType dtype = detail::gradient_dtype(given_weight, given_x);
  auto [to_weight, to_bias] = detail::channels_to(dweight, dbias, dtype);
  return {dx.finish(), std::move(to_weight), std::move(to_bias)};
}

BackwardReduce batch_norm_backward_reduce(const Tensor& given_dy, const Tensor& given_x,
                                          const Tensor& given_mean, const Tensor& given_invstd,
                                          const Tensor& weight) {
  constexpr const char* function = "batch_norm_backward_reduce";
  const Extents e = check_gradient(function, given_dy, given_x, weight);
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, given_x.device());
  const Tensor invstd =
      detail::check_statistic(function, "invstd", given_invstd, e.C, given_x.device());
  if (detail::wants_wide_data(given_x, {&weight})) {
    return batch_norm_backward_reduce(detail::widened(given_dy), detail::widened(given_x), mean,
                                      invstd, weight);
  }
  const DType dtype = detail::gradient_dtype(weight, given_x);
  const Device device = given_x.device();
  if (e.numel() == 0) {
    return {Tensor::zeros({e.C}, DType::Float64, device),
            Tensor::zeros({e.C}, DType::Float64, device), Tensor::zeros({e.C}, dtype, device),
            Tensor::zeros({e.C}, dtype, device)};
  }
  BackwardReduce r{Tensor::empty({e.C}, DType::Float64, device),
                   Tensor::empty({e.C}, DType::Float64, device),
                   {},
                   {}};
  const Layout layout = detail::layout_of(given_x);
  const Tensor x = detail::in_layout(given_x, layout);
  const Tensor dy = detail::in_layout(given_dy, layout);
  detail::sums_pass(function, detail::view_of(dy, layout), detail::view_of(x, layout),
                    detail::channels_of(mean), detail::channels_of(r.sum_dy),
                    detail::channels_of(r.sum_dy_xmu));
  const Tensor dweight = detail::multiply_channels(r.sum_dy_xmu, invstd);
  std::tie(r.dweight, r.dbias) = detail::channels_to(dweight, r.sum_dy, dtype);
  return r;
}

Tensor batch_norm_backward_elemt(const Tensor& given_dy, const Tensor& given_x,
                                 const Tensor& given_mean, const Tensor& given_invstd,
                                 const Tensor& given_weight, const Tensor& given_sum_dy,
                                 const Tensor& given_sum_dy_xmu, const Tensor& count, Tensor out) {
  constexpr const char* function = "batch_norm_backward_elemt";
  const Extents e = check_gradient(function, given_dy, given_x, given_weight);
  const Device device = given_x.device();
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, device);
  const Tensor invstd = detail::check_statistic(function, "invstd", given_invstd, e.C, device);
  const double total = detail::check_count(function, count);
  const Tensor sum_dy =
      sum_over(total, detail::check_statistic(function, "sum_dy", given_sum_dy, e.C, device));
  const Tensor sum_dy_xmu = sum_over(
      total, detail::check_statistic(function, "sum_dy_xmu", given_sum_dy_xmu, e.C, device));
  detail::check_out(function, out, given_dy,
                    {&given_dy, &given_x, &given_weight, &given_mean, &given_invstd, &given_sum_dy,
                     &given_sum_dy_xmu, &count});
  if (e.numel() == 0) {
    return nothing(given_x, e, DType::Float64, std::move(out)).dx;
  }
  if (detail::wants_wide_data(given_x, {&given_weight})) {
    const Tensor dx =
        batch_norm_backward_elemt(detail::widened(given_dy), detail::widened(given_x), mean, invstd,
                                  given_weight, sum_dy, sum_dy_xmu, count);
    return detail::narrowed(dx, given_x, std::move(out));
  }
  const detail::LoadedParameter weight(given_weight, given_x.dtype());
  const Layout layout = detail::elementwise_layout_of(given_x);
  const Tensor x = detail::in_layout(given_x, layout);
  const Tensor dy = detail::in_layout(given_dy, layout);
  detail::Output dx(out, given_x, layout);
  detail::gradient_pass(function, detail::view_of(dy, layout), detail::view_of(x, layout),
                        detail::weight_channels(weight.get(), e.C, x), detail::channels_of(mean),
                        detail::channels_of(invstd), detail::channels_of(sum_dy),
                        detail::channels_of(sum_dy_xmu), std::max(total, 1.0),
                        detail::view_of(dx.target(), layout));
  return dx.finish();
}

}  // namespace halnorm::functional
