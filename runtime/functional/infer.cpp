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

namespace halnorm::HALNORM_ABI {

namespace functional {

using detail::AddRelu;
using detail::Channels;
using detail::Extents;
using detail::Layout;
using detail::View;

namespace {

/// The per-channel operands of y, in the kernel's dtypes.
struct Given {
  const Tensor &mean, &invstd_or_var, &weight, &bias;
};
struct GivenChannels {
  Channels mean, invstd_or_var, weight, bias;
};

void infer_plain(const char* function, const detail::InferOperands& o) {
  detail::execute(function, o);
}

/// Runs a pass on x in x's own layout.
template <class Pass>
Tensor run_pass(const Given& g, const Tensor& x_arg, const AddRelu* relu, const Tensor& out,
                Pass pass) {
  const std::int64_t channels = x_arg.shape()[1];
  const Layout layout = detail::elementwise_layout_of(x_arg);
  const Tensor x = detail::in_layout_or_items(x_arg, layout);
  const detail::Addend addend(relu, x, layout);
  detail::Output y(out, x_arg, layout, true);
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
Tensor run_range_fallback(const Given& g, const Tensor& x, const AddRelu* relu, std::int64_t c,
                          Pass pass) {
  const Tensor mean = detail::range_fallback_channel(g.mean, c);
  const Tensor invstd_or_var = detail::range_fallback_channel(g.invstd_or_var, c);
  const Tensor weight = detail::range_fallback_channel(g.weight, c);
  const Tensor bias = detail::range_fallback_channel(g.bias, c);
  const Given channel{mean, invstd_or_var, weight, bias};
  if (relu == nullptr) {
    return run_pass(channel, detail::range_fallback_channel(x, c), nullptr, Tensor(), pass);
  }
  const Tensor addend = detail::range_fallback_channel(relu->addend, c);
  const AddRelu channel_relu = relu->with(addend);
  return run_pass(channel, detail::range_fallback_channel(x, c), &channel_relu, Tensor(), pass);
}

/// Runs the pass on all channels, and again in float64 for channels that leave float32's range.
template <class Pass>
Tensor run_given(const Given& g, const detail::InvstdOrVar& invstd, const Tensor& x_arg,
                 const AddRelu* relu_arg, const Tensor& out, Pass pass) {
  const auto extremes =
      detail::extreme_forward(x_arg, detail::channels_of(g.mean), invstd,
                              detail::weight_channels(g.weight, invstd.size(), x_arg));
  if (extremes.empty()) {
    return run_pass(g, x_arg, relu_arg, out, pass);
  }
  const Tensor x = detail::loses_extremes(out, x_arg) ? x_arg.clone() : x_arg;
  Tensor addend;
  std::optional<AddRelu> relu;
  if (relu_arg != nullptr) {
    addend = relu_arg->addend;
    if (addend.defined() && detail::loses_extremes(out, addend)) {
      addend = addend.clone();
    }
    relu.emplace(relu_arg->with(addend));
  }
  Tensor y = run_pass(g, x, relu ? &*relu : nullptr, out, pass);
  for (const std::int64_t c : extremes) {
    detail::store_channel(y, c, run_range_fallback(g, x, relu ? &*relu : nullptr, c, pass));
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

Tensor run_elemt(const char* function, const Tensor& x_arg, const Tensor& weight_arg,
                 const Tensor& bias_arg, const Tensor& mean, const Tensor& invstd,
                 const Tensor& out) {
  const detail::LoadedParameter weight(weight_arg, x_arg.dtype());
  const detail::LoadedParameter bias(bias_arg, x_arg.dtype());
  return run_given(
      {mean, invstd, weight.get(), bias.get()}, detail::InvstdOrVar(invstd), x_arg, nullptr, out,
      [&](const View& x, const std::optional<detail::Epilogue>& /*none*/, const GivenChannels& g,
          const View& y) {
        detail::execute(function,
                        detail::ElemtOperands{x, g.weight, g.bias, g.mean, g.invstd_or_var, y});
      });
}

}  // namespace

Tensor batch_norm_infer(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& weight, const Tensor& bias, double eps, Tensor out) {
  constexpr const char* function = "batch_norm_infer";
  detail::check_linked(function, detail::Operation::batch_norm_infer);
  const Extents e = detail::check_data(function, "x", x);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  detail::check_out(function, out, x, {&x, &weight, &bias, &running_mean, &running_var});
  if (e.numel() == 0) {
    return detail::empty_result(x, out);
  }
  return detail::infer({function, x, running_mean, running_var, weight, bias, eps, out});
}

Tensor batch_norm_elemt(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& mean_arg, const Tensor& invstd_arg, Tensor out) {
  constexpr const char* function = "batch_norm_elemt";
  detail::check_linked(function, detail::Operation::batch_norm_elemt);
  const Extents e = detail::check_data(function, "x", x);
  detail::check_affine(function, x, e, weight, bias);
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", invstd_arg, e.C, x.device());
  detail::check_out(function, out, x, {&x, &weight, &bias, &mean_arg, &invstd_arg});
  if (e.numel() == 0) {
    return detail::empty_result(x, out);
  }
  if (detail::wants_widened_data(x, {&weight, &bias})) {
    const Tensor y = run_elemt(function, detail::widened(x), weight, bias, mean, invstd, Tensor());
    return detail::narrowed(y, x, std::move(out));
  }
  return run_elemt(function, x, weight, bias, mean, invstd, out);
}

}  // namespace functional

Tensor detail::infer(const InferCall& call) {
  if (!wants_widened_data(call.x,
                          {&call.running_mean, &call.running_var, &call.weight, &call.bias})) {
    return functional::run_infer(call);
  }
  const Tensor x = widened(call.x);
  const Tensor none;
  InferCall wide{call.function, x,         call.running_mean, call.running_var,
                 call.weight,   call.bias, call.eps,          none};
  if (call.relu == nullptr) {
    return narrowed(functional::run_infer(wide), call.x, call.out);
  }
  const Tensor& addend_arg = call.relu->addend;
  const Tensor addend = addend_arg.defined() ? widened(addend_arg) : addend_arg;
  const AddRelu relu = call.relu->with(addend);
  wide.relu = &relu;
  return narrowed(functional::run_infer(wide), call.x, call.out);
}

}  // namespace halnorm::HALNORM_ABI
