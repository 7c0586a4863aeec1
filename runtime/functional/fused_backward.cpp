#include <tuple>
#include <utility>

#include "base/strides.h"
#include "functional/channel_math.h"
#include "functional/channel_pair.h"
#include "functional/check.h"
#include "functional/gradient_fallback.h"
#include "functional/parameter_types.h"
#include "halnorm/functional_fused.h"
#include "plan/execute_fused.h"

namespace halnorm::functional {

using detail::ChannelPair;
using detail::Extents;
using detail::Layout;

namespace {

Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x, const Tensor& y,
                       const Tensor& weight) {
  const Extents e = detail::check_data(function, "x", x);
  detail::check_one_kernel(function, "x", x);
  detail::check_like(function, "dy", dy, x);
  detail::check_one_kernel(function, "dy", dy);
  detail::check_like(function, "y", y, x);
  detail::check_one_kernel(function, "y", y);
  detail::check_parameter(function, "weight", weight, x, e.C, true);
  return e;
}

/// The data tensors in one layout, and new ones for the gradients.
struct Data {
  Layout layout;
  Tensor dy, x, y, dx, daddend, dweight, dbias;

  Data(const Tensor& given_dy, const Tensor& given_x, const Tensor& given_y, std::int64_t channels)
      : layout(detail::layout_of(given_x)),
        dy(detail::in_layout(given_dy, layout)),
        x(detail::in_layout(given_x, layout)),
        y(detail::in_layout(given_y, layout)),
        dx(detail::empty_in_layout(given_x, layout)),
        daddend(detail::empty_in_layout(given_x, layout)),
        dweight(
            Tensor::empty({channels}, detail::kernel_gradient_dtype(given_x), given_x.device())),
        dbias(Tensor::empty({channels}, detail::kernel_gradient_dtype(given_x), given_x.device())) {
  }
};

BatchNormFusedBackward nothing(const Tensor& x, const Extents& e, DType parameters) {
  return {detail::empty_in_layout(x, Layout::ncl), detail::empty_in_layout(x, Layout::ncl),
          Tensor::zeros({e.C}, parameters, x.device()),
          Tensor::zeros({e.C}, parameters, x.device())};
}

/// The gradients are made in memory of their own, since daddend still reads the dy that dx would
/// overwrite.
BatchNormFusedBackward with_dx_in(Tensor out, BatchNormFusedBackward r) {
  if (out.defined()) {
    out.copy_(r.dx);
    r.dx = std::move(out);
  }
  return r;
}

/// The kernel's dweight and dbias, rounded once; undefined where the kernel added to others.
BatchNormFusedBackward with_rounded(BatchNormFusedBackward r, DType parameters) {
  if (r.dweight.defined()) {
    std::tie(r.dweight, r.dbias) = detail::channels_to(r.dweight, r.dbias, parameters);
  }
  return r;
}

/// daddend is dy or 0, and so is right already.
void store_channel(const BatchNormFusedBackward& r, std::int64_t c,
                   const BatchNormFusedBackward& wide) {
  detail::store_channel(r.dx, c, wide.dx);
  detail::store_channel(r.dweight, c, wide.dweight);
  detail::store_channel(r.dbias, c, wide.dbias);
}

/// The gradients of a call in Float64 as the narrow one gives them.
BatchNormFusedBackward narrowed(BatchNormFusedBackward r, const Tensor& x, const Tensor& weight,
                                Tensor out) {
  r.dx = detail::narrowed(r.dx, x, std::move(out));
  r.daddend = detail::narrowed(r.daddend, x, Tensor());
  std::tie(r.dweight, r.dbias) =
      detail::channels_to(r.dweight, r.dbias, detail::gradient_dtype(weight, x));
  return r;
}

/// Arguments are checked, mean and invstd are Float64, weight has the kernel's dtype, and the batch
/// is not empty.
BatchNormFusedBackward run_backward(const char* function, const Tensor& dy, const Tensor& x,
                                    const Tensor& y, const Tensor& weight, const Tensor& mean,
                                    const Tensor& invstd, const ChannelPair* sums) {
  const std::int64_t channels = x.shape()[1];
  const Data d(dy, x, y, channels);
  const bool adds = sums != nullptr && sums->goes_along(x, {&dy, &x, &y, &weight, &mean, &invstd});
  detail::execute(function, detail::FusedBackwardOperands{
                                .dy = detail::view_of(d.dy, d.layout),
                                .x = detail::view_of(d.x, d.layout),
                                .y = detail::view_of(d.y, d.layout),
                                .weight = detail::weight_channels(weight, channels, d.x),
                                .mean = detail::channels_of(mean),
                                .invstd = detail::channels_of(invstd),
                                .dx = detail::view_of(d.dx, d.layout),
                                .daddend = detail::view_of(d.daddend, d.layout),
                                .dweight = detail::channels_of(adds ? sums->first : d.dweight),
                                .dbias = detail::channels_of(adds ? sums->second : d.dbias),
                                .adds = adds});
  return {d.dx, d.daddend, adds ? Tensor() : d.dweight, adds ? Tensor() : d.dbias};
}

/// Arguments are checked, the parameters have the kernel's dtype, and the batch is not empty.
BatchNormFusedBackward run_backward_infer(const char* function, const Tensor& dy, const Tensor& x,
                                          const Tensor& y, const Tensor& weight,
                                          const Tensor& running_mean, const Tensor& running_var,
                                          double eps) {
  const std::int64_t channels = x.shape()[1];
  const Data d(dy, x, y, channels);
  detail::execute(function, detail::FusedBackwardInferOperands{
                                .dy = detail::view_of(d.dy, d.layout),
                                .x = detail::view_of(d.x, d.layout),
                                .y = detail::view_of(d.y, d.layout),
                                .weight = detail::weight_channels(weight, channels, d.x),
                                .running_mean = detail::channels_of(running_mean),
                                .running_var = detail::channels_of(running_var),
                                .eps = eps,
                                .dx = detail::view_of(d.dx, d.layout),
                                .daddend = detail::view_of(d.daddend, d.layout),
                                .dweight = detail::channels_of(d.dweight),
                                .dbias = detail::channels_of(d.dbias)});
  return {d.dx, d.daddend, d.dweight, d.dbias};
}

/// The same as the first, and again in float64 for the channels that leave float32's range.
BatchNormFusedBackward run_in_range(const char* function, const Tensor& dy, const Tensor& x,
                                    const Tensor& y, const Tensor& given_weight, const Tensor& mean,
                                    const Tensor& invstd, const ChannelPair* sums) {
  const detail::LoadedParameter weight(given_weight, x.dtype());
  BatchNormFusedBackward r = run_backward(function, dy, x, y, weight.get(), mean, invstd, sums);
  if (r.dweight.defined()) {
    const detail::InvstdOrVar invstds(invstd);
    const detail::GradientFallback fallback(x, mean, weight.get(), invstds);
    for (const std::int64_t c : fallback.channels(r.dweight, r.dbias)) {
      store_channel(
          r, c,
          run_backward(function, detail::wide_channel(dy, c), detail::wide_channel(x, c),
                       detail::wide_channel(y, c), detail::wide_channel(weight.get(), c),
                       detail::wide_channel(mean, c), detail::wide_channel(invstd, c), nullptr));
    }
  }
  return r;
}

/// Likewise in eval mode; the parameters may have any dtype that is not wider than the data's.
BatchNormFusedBackward run_infer_in_range(const char* function, const Tensor& dy, const Tensor& x,
                                          const Tensor& y, const Tensor& given_weight,
                                          const Tensor& given_mean, const Tensor& given_var,
                                          double eps) {
  const detail::LoadedParameter weight(given_weight, x.dtype());
  const detail::LoadedParameter mean(given_mean, x.dtype());
  const detail::LoadedParameter var(given_var, x.dtype());
  BatchNormFusedBackward r =
      run_backward_infer(function, dy, x, y, weight.get(), mean.get(), var.get(), eps);
  const detail::InvstdOrVar invstd(detail::channels_of(var.get()), eps);
  const detail::GradientFallback fallback(x, mean.get(), weight.get(), invstd);
  for (const std::int64_t c : fallback.channels(r.dweight, r.dbias)) {
    store_channel(
        r, c,
        run_backward_infer(function, detail::wide_channel(dy, c), detail::wide_channel(x, c),
                           detail::wide_channel(y, c), detail::wide_channel(weight.get(), c),
                           detail::wide_channel(mean.get(), c), detail::wide_channel(var.get(), c),
                           eps));
  }
  return r;
}

}  // namespace

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out) {
  return batch_norm_fused_backward(dy, x, y, weight, mean, invstd, std::move(out), nullptr);
}

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& given_weight,
                                                 const Tensor& given_mean,
                                                 const Tensor& given_invstd, Tensor out,
                                                 const ChannelPair* sums) {
  constexpr const char* function = "batch_norm_fused_backward";
  detail::check_linked(function, detail::Operation::batch_norm_fused_backward);
  const Extents e = check_gradient(function, dy, x, y, given_weight);
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", given_invstd, e.C, x.device());
  detail::check_out(function, out, dy, {&dy, &x, &y, &given_weight, &given_mean, &given_invstd});
  if (e.numel() == 0) {
    return with_dx_in(std::move(out), nothing(x, e, detail::gradient_dtype(given_weight, x)));
  }
  if (detail::wants_wide_data(x, {&given_weight})) {
    return narrowed(run_in_range(function, detail::widened(dy), detail::widened(x),
                                 detail::widened(y), given_weight, mean, invstd, nullptr),
                    x, given_weight, std::move(out));
  }
  return with_dx_in(std::move(out),
                    with_rounded(run_in_range(function, dy, x, y, given_weight, mean, invstd, sums),
                                 detail::gradient_dtype(given_weight, x)));
}

BatchNormFusedBackward batch_norm_fused_backward_infer(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& given_weight,
                                                       const Tensor& given_mean,
                                                       const Tensor& given_var, double eps,
                                                       Tensor out) {
  constexpr const char* function = "batch_norm_fused_backward_infer";
  detail::check_linked(function, detail::Operation::batch_norm_fused_backward_infer);
  const Extents e = check_gradient(function, dy, x, y, given_weight);
  detail::check_running(function, x, e, given_mean, given_var);
  detail::check_eps(function, eps);
  detail::check_out(function, out, dy, {&dy, &x, &y, &given_weight, &given_mean, &given_var});
  if (e.numel() == 0) {
    return with_dx_in(std::move(out), nothing(x, e, detail::gradient_dtype(given_weight, x)));
  }
  if (detail::wants_wide_data(x, {&given_weight, &given_mean, &given_var})) {
    return narrowed(
        run_infer_in_range(function, detail::widened(dy), detail::widened(x), detail::widened(y),
                           given_weight, given_mean, given_var, eps),
        x, given_weight, std::move(out));
  }
  return with_dx_in(
      std::move(out),
      with_rounded(run_infer_in_range(function, dy, x, y, given_weight, given_mean, given_var, eps),
                   detail::gradient_dtype(given_weight, x)));
}

}  // namespace halnorm::functional
