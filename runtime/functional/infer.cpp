#include <utility>

#include "functional/check.h"
#include "functional/output.h"
#include "functional/parameter_types.h"
#include "functional/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execute.h"

/// @file
/// y from given statistics: the running ones, or those of a batch.

namespace halnorm::functional {

using detail::Channels;
using detail::Extents;
using detail::Layout;
using detail::View;

namespace {

/// What y is made of besides x, where the statistics are given: of the kernel's dtypes.
struct Given {
  const Tensor &mean, &invstd_or_var, &weight, &bias;
};
struct GivenChannels {
  Channels mean, invstd_or_var, weight, bias;
};

/// Runs a pass on x in the layout that it has.
template <class Pass>
Tensor run_pass(const Given& g, const Tensor& given_x, const Tensor& out, Pass pass) {
  const std::int64_t channels = given_x.shape()[1];
  const Layout layout = detail::elementwise_layout_of(given_x);
  const Tensor x = detail::in_layout_or_items(given_x, layout);
  detail::Output y(out, given_x, layout, true);
  const detail::ViewOf view(layout, {&x, &y.target()});
  pass(view(x),
       {detail::channels_of(g.mean), detail::channels_of(g.invstd_or_var),
        detail::weight_channels(g.weight, channels, x), detail::bias_channels(g.bias, channels, x)},
       view(y.target()));
  return y.finish();
}

/// The same, and again in float64 for the channels that leave float32's range.
template <class Pass>
Tensor run_given(const Given& g, const detail::InvstdOrVar& invstd, const Tensor& given_x,
                 const Tensor& out, Pass pass) {
  const auto extremes =
      detail::extreme_forward(given_x, detail::channels_of(g.mean), invstd,
                              detail::weight_channels(g.weight, invstd.size(), given_x));
  const bool copies = !extremes.empty() && detail::loses_extremes(out, given_x);
  const Tensor x = copies ? given_x.clone() : given_x;
  Tensor y = run_pass(g, x, out, pass);
  for (const std::int64_t c : extremes) {
    const Tensor mean = detail::wide_channel(g.mean, c);
    const Tensor invstd_or_var = detail::wide_channel(g.invstd_or_var, c);
    const Tensor weight = detail::wide_channel(g.weight, c);
    const Tensor bias = detail::wide_channel(g.bias, c);
    detail::store_channel(
        y, c,
        run_pass({mean, invstd_or_var, weight, bias}, detail::wide_channel(x, c), Tensor(), pass));
  }
  return y;
}

/// Arguments of this and the next are checked, and the batch is not empty.
Tensor run_infer(const char* function, const Tensor& given, const Tensor& given_mean,
                 const Tensor& given_var, const Tensor& given_weight, const Tensor& given_bias,
                 double eps, const Tensor& out) {
  const detail::LoadedParameter running_mean(given_mean, given.dtype());
  const detail::LoadedParameter running_var(given_var, given.dtype());
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const detail::LoadedParameter bias(given_bias, given.dtype());
  const detail::InvstdOrVar invstd(detail::channels_of(running_var.get()), eps);
  return run_given({running_mean.get(), running_var.get(), weight.get(), bias.get()}, invstd, given,
                   out, [&](const View& x, const GivenChannels& g, const View& y) {
                     detail::execute(function, detail::InferOperands{x, g.mean, g.invstd_or_var,
                                                                     g.weight, g.bias, eps, y});
                   });
}

Tensor run_elemt(const char* function, const Tensor& given, const Tensor& given_weight,
                 const Tensor& given_bias, const Tensor& mean, const Tensor& invstd,
                 const Tensor& out) {
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const detail::LoadedParameter bias(given_bias, given.dtype());
  return run_given({mean, invstd, weight.get(), bias.get()}, detail::InvstdOrVar(invstd), given,
                   out, [&](const View& x, const GivenChannels& g, const View& y) {
                     detail::execute(function, detail::ElemtOperands{x, g.weight, g.bias, g.mean,
                                                                     g.invstd_or_var, y});
                   });
}

}  // namespace

Tensor batch_norm_infer(const Tensor& given, const Tensor& given_mean, const Tensor& given_var,
                        const Tensor& given_weight, const Tensor& given_bias, double eps,
                        Tensor out) {
  constexpr const char* function = "batch_norm_infer";
  detail::check_linked(function, detail::Operation::batch_norm_infer);
  const Extents e = detail::check_data(function, "x", given);
  detail::check_running(function, given, e, given_mean, given_var);
  detail::check_affine(function, given, e, given_weight, given_bias);
  detail::check_eps(function, eps);
  detail::check_out(function, out, given,
                    {&given, &given_weight, &given_bias, &given_mean, &given_var});
  if (e.numel() == 0) {
    return out.defined() ? out : detail::empty_in_layout(given, Layout::ncl);
  }
  if (detail::wants_wide_data(given, {&given_mean, &given_var, &given_weight, &given_bias})) {
    const Tensor y = run_infer(function, detail::widened(given), given_mean, given_var,
                               given_weight, given_bias, eps, Tensor());
    return detail::narrowed(y, given, std::move(out));
  }
  return run_infer(function, given, given_mean, given_var, given_weight, given_bias, eps, out);
}

Tensor batch_norm_elemt(const Tensor& given, const Tensor& given_weight, const Tensor& given_bias,
                        const Tensor& given_mean, const Tensor& given_invstd, Tensor out) {
  constexpr const char* function = "batch_norm_elemt";
  detail::check_linked(function, detail::Operation::batch_norm_elemt);
  const Extents e = detail::check_data(function, "x", given);
  detail::check_affine(function, given, e, given_weight, given_bias);
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, given.device());
  const Tensor invstd =
      detail::check_statistic(function, "invstd", given_invstd, e.C, given.device());
  detail::check_out(function, out, given,
                    {&given, &given_weight, &given_bias, &given_mean, &given_invstd});
  if (e.numel() == 0) {
    return out.defined() ? out : detail::empty_in_layout(given, Layout::ncl);
  }
  if (detail::wants_wide_data(given, {&given_weight, &given_bias})) {
    const Tensor y = run_elemt(function, detail::widened(given), given_weight, given_bias, mean,
                               invstd, Tensor());
    return detail::narrowed(y, given, std::move(out));
  }
  return run_elemt(function, given, given_weight, given_bias, mean, invstd, out);
}

}  // namespace halnorm::functional
