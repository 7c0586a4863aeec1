#include <utility>

#include "functional/arguments/check.h"
#include "functional/arguments/data_view.h"
#include "functional/backward.h"
#include "functional/fused_functions.h"
#include "halnorm/functional_fused.h"
#include "plan/execution/execute.h"

/// @file
/// The backwards of functional_fused.h: the backward of relu, whose result is the addend's
/// gradient, then the backward of batch normalization.

namespace halnorm::HALNORM_ABI::functional {

using detail::ChannelPair;
using detail::Extents;

namespace {

Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x, const Tensor& y,
                       const Tensor& weight, double slope) {
  const Extents e = detail::check_data(function, "x", x);
  detail::check_like(function, "dy", dy, x);
  detail::check_like(function, "y", y, x);
  detail::check_parameter(function, "weight", weight, x, e.C, true);
  detail::check_slope(function, slope);
  return e;
}

/// The gradient through relu, laid out like x.
Tensor relu_backward(const char* function, const Tensor& dy, const Tensor& y, double slope,
                     const Tensor& x) {
  const detail::Layout layout = detail::elementwise_layout_of(x);
  if (x.numel() == 0) {
    return detail::empty_in_layout(x, layout);
  }
  detail::DataOperands data(layout, {&dy, &y}, Tensor());
  detail::execute(function,
                  detail::ReluBackwardOperands{data.input(0), data.input(1), slope, data.output()});
  return data.finish();
}

BatchNormFusedBackward with_daddend(BatchNormBackward r, Tensor daddend) {
  return {std::move(r.dx), std::move(daddend), std::move(r.dweight), std::move(r.dbias)};
}

}  // namespace

Tensor relu_backward(const Tensor& dy, const Tensor& y, double slope) {
  return relu_backward("relu_backward", dy, y, slope, y);
}

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out, double slope) {
  return batch_norm_fused_backward(dy, x, y, weight, mean, invstd, std::move(out), slope, nullptr);
}

BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean_arg,
                                                 const Tensor& invstd_arg, Tensor out, double slope,
                                                 const ChannelPair* sums) {
  constexpr const char* function = "batch_norm_fused_backward";
  detail::check_linked(function, detail::Operation::relu_backward);
  const Extents e = check_gradient(function, dy, x, y, weight, slope);
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", invstd_arg, e.C, x.device());
  detail::check_out(function, out, dy, {&dy, &x, &y, &weight, &mean_arg, &invstd_arg});
  const Tensor daddend = relu_backward(function, dy, y, slope, x);
  return with_daddend(detail::backward({function, daddend, x, weight, mean, invstd, out, sums}),
                      daddend);
}

BatchNormFusedBackward batch_norm_fused_backward_infer(const Tensor& dy, const Tensor& x,
                                                       const Tensor& y, const Tensor& weight,
                                                       const Tensor& running_mean,
                                                       const Tensor& running_var, double eps,
                                                       Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_backward_infer";
  detail::check_linked(function, detail::Operation::relu_backward);
  const Extents e = check_gradient(function, dy, x, y, weight, slope);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_eps(function, eps);
  detail::check_out(function, out, dy, {&dy, &x, &y, &weight, &running_mean, &running_var});
  const Tensor daddend = relu_backward(function, dy, y, slope, x);
  return with_daddend(detail::backward_infer({function, daddend, x, weight, running_mean,
                                              running_var, out, nullptr, eps}),
                      daddend);
}

}  // namespace halnorm::HALNORM_ABI::functional
