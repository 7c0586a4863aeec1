#include "functional/infer.h"

#include <optional>
#include <utility>

#include "functional/arguments/check.h"
#include "functional/arguments/output.h"
#include "functional/arguments/parameter_types.h"
#include "functional/range/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execute.h"

/// @file
/// y from given statistics: the running ones, or those of a batch.

namespace halnorm {

namespace functional {

using detail::AddRelu;
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

void infer_plain(const char* function, const detail::InferOperands& o) {
  detail::execute(function, o);
}

/// Runs a pass on x in the layout that it has.
template <class Pass>
Tensor run_pass(const Given& g, const Tensor& given_x, const AddRelu* relu, const Tensor& out,
                Pass pass) {
  const std::int64_t channels = given_x.shape()[1];
  const Layout layout = detail::elementwise_layout_of(given_x);
  const Tensor x = detail::in_layout_or_items(given_x, layout);
  const detail::Addend addend(relu, x, layout);
  detail::Output y(out, given_x, layout, true);
  const detail::ViewOf view(layout, {&x, &addend.tensor(), &y.target()});
  const View data = view(x);
  pass(data, addend.epilogue(view, data),
       {detail::channels_of(g.mean), detail::channels_of(g.invstd_or_var),
        detail::weight_channels(g.weight, channels, x), detail::bias_channels(g.bias, channels, x)},
       view(y.target()));
  return y.finish();
}

/// One channel in Float64.
template <class Pass>
Tensor run_wide_channel(const Given& g, const Tensor& x, const AddRelu* relu, std::int64_t c,
                        Pass pass) {
  const Tensor mean = detail::wide_channel(g.mean, c);
  const Tensor invstd_or_var = detail::wide_channel(g.invstd_or_var, c);
  const Tensor weight = detail::wide_channel(g.weight, c);
  const Tensor bias = detail::wide_channel(g.bias, c);
  const Given wide{mean, invstd_or_var, weight, bias};
  if (relu == nullptr) {
    return run_pass(wide, detail::wide_channel(x, c), nullptr, Tensor(), pass);
  }
  const Tensor addend = detail::wide_channel(relu->addend, c);
  const AddRelu wide_relu = relu->with(addend);
  return run_pass(wide, detail::wide_channel(x, c), &wide_relu, Tensor(), pass);
}

/// The pass on all channels, and again in float64 for those that leave float32's range.
template <class Pass>
Tensor run_given(const Given& g, const detail::InvstdOrVar& invstd, const Tensor& given_x,
                 const AddRelu* given_relu, const Tensor& out, Pass pass) {
  const auto extremes =
      detail::extreme_forward(given_x, detail::channels_of(g.mean), invstd,
                              detail::weight_channels(g.weight, invstd.size(), given_x));
  if (extremes.empty()) {
    return run_pass(g, given_x, given_relu, out, pass);
  }
  const Tensor x = detail::loses_extremes(out, given_x) ? given_x.clone() : given_x;
  Tensor addend;
  std::optional<AddRelu> relu;
  if (given_relu != nullptr) {
    addend = given_relu->addend;
    if (addend.defined() && detail::loses_extremes(out, addend)) {
      addend = addend.clone();
    }
    relu.emplace(given_relu->with(addend));
  }
  Tensor y = run_pass(g, x, relu ? &*relu : nullptr, out, pass);
  for (const std::int64_t c : extremes) {
    detail::store_channel(y, c, run_wide_channel(g, x, relu ? &*relu : nullptr, c, pass));
  }
  return y;
}

/// Parameters and running statistics are not wider than the data.
Tensor run_infer(const detail::InferCall& call) {
  const detail::LoadedParameter running_mean(call.running_mean, call.x.dtype());
  const detail::LoadedParameter running_var(call.running_var, call.x.dtype());
  const detail::LoadedParameter weight(call.weight, call.x.dtype());
  const detail::LoadedParameter bias(call.bias, call.x.dtype());
  const detail::InvstdOrVar invstd(detail::channels_of(running_var.get()), call.eps);
  const auto execute = call.relu == nullptr ? infer_plain : call.relu->infer;
  return run_given({running_mean.get(), running_var.get(), weight.get(), bias.get()}, invstd,
                   call.x, call.relu, call.out,
                   [&](const View& x, const std::optional<detail::Epilogue>& relu,
                       const GivenChannels& g, const View& y) {
                     execute(call.function,
                             detail::InferOperands{x, g.mean, g.invstd_or_var, g.weight, g.bias,
                                                   call.eps, y, relu});
                   });
}

Tensor run_elemt(const char* function, const Tensor& given, const Tensor& given_weight,
                 const Tensor& given_bias, const Tensor& mean, const Tensor& invstd,
                 const Tensor& out) {
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const detail::LoadedParameter bias(given_bias, given.dtype());
  return run_given(
      {mean, invstd, weight.get(), bias.get()}, detail::InvstdOrVar(invstd), given, nullptr, out,
      [&](const View& x, const std::optional<detail::Epilogue>& /*none*/, const GivenChannels& g,
          const View& y) {
        detail::execute(function,
                        detail::ElemtOperands{x, g.weight, g.bias, g.mean, g.invstd_or_var, y});
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
  return detail::infer(
      {function, given, given_mean, given_var, given_weight, given_bias, eps, out});
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

}  // namespace functional

Tensor detail::infer(const InferCall& call) {
  if (!wants_wide_data(call.x, {&call.running_mean, &call.running_var, &call.weight, &call.bias})) {
    return functional::run_infer(call);
  }
  const Tensor x = widened(call.x);
  const Tensor none;
  InferCall wide{call.function, x,         call.running_mean, call.running_var,
                 call.weight,   call.bias, call.eps,          none};
  if (call.relu == nullptr) {
    return narrowed(functional::run_infer(wide), call.x, call.out);
  }
  const Tensor& given = call.relu->addend;
  const Tensor addend = given.defined() ? widened(given) : given;
  const AddRelu relu = call.relu->with(addend);
  wide.relu = &relu;
  return narrowed(functional::run_infer(wide), call.x, call.out);
}

}  // namespace halnorm
