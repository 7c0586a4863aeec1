#include <tuple>
#include <utility>
#include <vector>

#include "channel_pair.h"
#include "device_channels.h"
#include "halide_glue.h"
#include "halnorm/functional_fused.h"
#include "parameter_types.h"
#include "strided.h"
#include "validate.h"
#include "wide.h"

namespace halnorm::functional {

using detail::ChannelPair;
using detail::Extents;
using detail::KernelBuffer;
using detail::Layout;
using detail::Operation;

namespace {

Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x, const Tensor& y,
                       const Tensor& weight) {
  const Extents e = detail::check_data(function, "x", x);
  detail::check_one_kernel(function, "x", x);
  detail::check_like(function, "dy", dy, x);
  detail::check_like(function, "y", y, x);
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

  [[nodiscard]] BatchNormFusedBackward result(DType parameters) const {
    auto [to_weight, to_bias] = detail::channels_to(dweight, dbias, parameters);
    return {dx, daddend, std::move(to_weight), std::move(to_bias)};
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

/// The gradients of a call in Float64 as the narrow one gives them.
BatchNormFusedBackward narrowed(BatchNormFusedBackward r, const Tensor& x, const Tensor& weight,
                                Tensor out) {
  r.dx = detail::narrowed(r.dx, x, std::move(out));
  r.daddend = detail::narrowed(r.daddend, x, Tensor());
  std::tie(r.dweight, r.dbias) =
      detail::channels_to(r.dweight, r.dbias, detail::gradient_dtype(weight, x));
  return r;
}

/// What the kernels of training's backward take.
struct Buffers {
  KernelBuffer dy, x, y, weight, mean, invstd, dx, daddend, dweight, dbias;
};

void run_kernel_of_backward(const char* function, const detail::View& x, Buffers b) {
  detail::run_kernel(function, detail::kernel_for(Operation::batch_norm_fused_backward, x),
                     {b.dy.get(), b.x.get(), b.y.get(), b.weight.get(), b.mean.get(),
                      b.invstd.get(), b.dx.get(), b.daddend.get(), b.dweight.get(), b.dbias.get()});
}

void run_kernel_that_adds(const char* function, const detail::View& x, Buffers b) {
  detail::run_kernel(function, detail::kernel_for(Operation::batch_norm_fused_backward_add, x),
                     {b.dy.get(), b.x.get(), b.y.get(), b.weight.get(), b.mean.get(),
                      b.invstd.get(), b.dweight.get(), b.dbias.get(), b.dx.get(), b.daddend.get(),
                      b.dweight.get(), b.dbias.get()});
}

/// Arguments are checked, mean and invstd are Float64, and the batch is not empty.
BatchNormFusedBackward run_backward(const char* function, const Tensor& dy, const Tensor& x,
                                    const Tensor& y, const Tensor& given_weight, const Tensor& mean,
                                    const Tensor& invstd, const ChannelPair* sums) {
  const detail::LoadedParameter weight(given_weight, x.dtype());
  const std::int64_t channels = x.shape()[1];
  const Data d(dy, x, y, channels);
  const bool adds =
      sums != nullptr && sums->goes_along(x, {&dy, &x, &y, &weight.get(), &mean, &invstd});
  const detail::View view = detail::view_of(d.x, d.layout);
  (adds ? run_kernel_that_adds : run_kernel_of_backward)(
      function, view,
      {detail::view_of(d.dy, d.layout).buffer(), view.buffer(),
       detail::view_of(d.y, d.layout).buffer(),
       detail::weight_channels(weight.get(), channels, d.x).buffer(),
       detail::channels_of(mean).buffer(), detail::channels_of(invstd).buffer(),
       detail::view_of(d.dx, d.layout).buffer(), detail::view_of(d.daddend, d.layout).buffer(),
       detail::channels_of(adds ? sums->first : d.dweight).buffer(),
       detail::channels_of(adds ? sums->second : d.dbias).buffer()});
  if (adds) {
    return {d.dx, d.daddend, Tensor(), Tensor()};
  }
  return d.result(detail::gradient_dtype(given_weight, x));
}

}  // namespace

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out) {
  return batch_norm_fused_backward(dy, x, y, weight, mean, invstd, std::move(out), nullptr);
}

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& given_mean,
                                                 const Tensor& given_invstd, Tensor out,
                                                 const ChannelPair* sums) {
  constexpr const char* function = "batch_norm_fused_backward";
  const Extents e = check_gradient(function, dy, x, y, weight);
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", given_invstd, e.C, x.device());
  detail::check_out(function, out, dy, {&dy, &x, &y, &weight, &given_mean, &given_invstd});
  if (e.numel() == 0) {
    return with_dx_in(std::move(out), nothing(x, e, detail::gradient_dtype(weight, x)));
  }
  if (detail::wants_wide_data(x, {&weight})) {
    return narrowed(batch_norm_fused_backward(detail::widened(dy), detail::widened(x),
                                              detail::widened(y), weight, mean, invstd),
                    x, weight, std::move(out));
  }
  BatchNormFusedBackward r = run_backward(function, dy, x, y, weight, mean, invstd, sums);
  for (const std::int64_t c : detail::steep_channels(x, invstd)) {
    const BatchNormFusedBackward wide =
        run_backward(function, detail::wide_channel(dy, c), detail::wide_channel(x, c),
                     detail::wide_channel(y, c), detail::wide_channel(weight, c),
                     detail::channel_of(mean, c), detail::channel_of(invstd, c), nullptr);
    detail::channel_of(r.dx, c).copy_(wide.dx);
    detail::channel_of(r.dweight, c).copy_(wide.dweight);
    detail::channel_of(r.dbias, c).copy_(wide.dbias);
  }
  return with_dx_in(std::move(out), std::move(r));
}

BatchNormFusedBackward batch_norm_fused_backward_infer(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& given_weight,
                                                       const Tensor& given_mean,
                                                       const Tensor& given_var, double eps,
                                                       Tensor out) {
  constexpr const char* function = "batch_norm_fused_backward_infer";
  const Extents e = check_gradient(function, dy, x, y, given_weight);
  detail::check_parameter(function, "running_mean", given_mean, x, e.C, false);
  detail::check_parameter(function, "running_var", given_var, x, e.C, false);
  detail::check_same_dtype(function, "running_mean", given_mean, "running_var", given_var);
  detail::check_eps(function, eps);
  detail::check_out(function, out, dy, {&dy, &x, &y, &given_weight, &given_mean, &given_var});
  if (e.numel() == 0) {
    return with_dx_in(std::move(out), nothing(x, e, detail::gradient_dtype(given_weight, x)));
  }
  if (detail::wants_wide_data(x, {&given_weight, &given_mean, &given_var})) {
    return narrowed(
        batch_norm_fused_backward_infer(detail::widened(dy), detail::widened(x), detail::widened(y),
                                        given_weight, given_mean, given_var, eps),
        x, given_weight, std::move(out));
  }
  const detail::LoadedParameter weight(given_weight, x.dtype());
  const detail::LoadedParameter running_mean(given_mean, x.dtype());
  const detail::LoadedParameter running_var(given_var, x.dtype());
  const Data d(dy, x, y, e.C);
  KernelBuffer dy_buffer = detail::view_of(d.dy, d.layout).buffer();
  KernelBuffer x_buffer = detail::view_of(d.x, d.layout).buffer();
  KernelBuffer y_buffer = detail::view_of(d.y, d.layout).buffer();
  KernelBuffer weight_buffer = detail::weight_channels(weight.get(), e.C, x).buffer();
  KernelBuffer mean_buffer = detail::channels_of(running_mean.get()).buffer();
  KernelBuffer var_buffer = detail::channels_of(running_var.get()).buffer();
  KernelBuffer dx_buffer = detail::view_of(d.dx, d.layout).buffer();
  KernelBuffer daddend_buffer = detail::view_of(d.daddend, d.layout).buffer();
  KernelBuffer dweight_buffer = detail::channels_of(d.dweight).buffer();
  KernelBuffer dbias_buffer = detail::channels_of(d.dbias).buffer();
  detail::run_kernel(function,
                     detail::kernel_for(Operation::batch_norm_fused_backward_infer,
                                        detail::view_of(d.x, d.layout)),
                     {dy_buffer.get(), x_buffer.get(), y_buffer.get(), weight_buffer.get(),
                      mean_buffer.get(), var_buffer.get(), &eps, dx_buffer.get(),
                      daddend_buffer.get(), dweight_buffer.get(), dbias_buffer.get()});
  return with_dx_in(std::move(out), d.result(detail::gradient_dtype(given_weight, x)));
}

}  // namespace halnorm::functional
