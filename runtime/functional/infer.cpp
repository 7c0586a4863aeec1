#include "functional/infer.h"

#include <utility>

#include "functional/arguments/check.h"
#include "functional/arguments/parameter_types.h"
#include "functional/range/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execution/execute.h"

/// @file
/// y from given statistics: the running ones, or those of a batch.

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

/// The data of a forward.
struct Batch {
  const Tensor& x;
  const Tensor& out;
  const std::optional<AddRelu>& relu;
};

/// The per-channel operands of y, in the kernel's dtypes.
struct Given {
  const Tensor &mean, &invstd_or_var, &weight, &bias;
};
struct GivenChannels {
  Channels mean, invstd_or_var, weight, bias;
};

/// Runs a pass on x in x's own layout.
template <class Pass>
Tensor run_pass(const Given& g, const Batch& batch, Pass pass) {
  const Tensor& x = batch.x;
  const std::int64_t channels = x.shape()[1];
  DataOperands data(elementwise_layout_of(x), {&x, addend_of(batch.relu)}, batch.out);
  const EpilogueView relu(batch.relu, data, x);
  pass(data, relu.get(),
       GivenChannels{channels_of(g.mean), channels_of(g.invstd_or_var),
                     weight_channels(g.weight, channels, x), bias_channels(g.bias, channels, x)});
  return data.finish();
}

/// One channel in Float64.
template <class Pass>
Tensor run_range_fallback(const Given& g, const Batch& batch, std::int64_t c, Pass pass) {
  const auto of_channel = [c](const Tensor& t) { return range_fallback_channel(t, c); };
  const Tensor mean = of_channel(g.mean);
  const Tensor invstd_or_var = of_channel(g.invstd_or_var);
  const Tensor weight = of_channel(g.weight);
  const Tensor bias = of_channel(g.bias);
  const Tensor x = of_channel(batch.x);
  const auto relu = with_addend(batch.relu, of_channel);
  return run_pass({mean, invstd_or_var, weight, bias}, {x, Tensor(), relu}, pass);
}

/// Runs the pass on all channels, and again in float64 for channels that leave float32's range.
template <class Pass>
Tensor run_given(const Given& g, const InvstdOrVar& invstd, const Batch& batch, Pass pass) {
  const auto extremes = extreme_forward(batch.x, channels_of(g.mean), invstd,
                                        weight_channels(g.weight, invstd.size(), batch.x));
  if (extremes.empty()) {
    return run_pass(g, batch, pass);
  }
  const auto kept = [&](const Tensor& t) { return loses_extremes(batch.out, t) ? t.clone() : t; };
  const Tensor x = kept(batch.x);
  const auto relu = with_addend(batch.relu, kept);
  Tensor y = run_pass(g, {x, batch.out, relu}, pass);
  for (const std::int64_t c : extremes) {
    store_channel(y, c, run_range_fallback(g, {x, batch.out, relu}, c, pass));
  }
  return y;
}

/// Parameters and running statistics are not wider than the data.
Tensor run_infer(const InferCall& call) {
  const LoadedParameter running_mean(call.running_mean, call.x.dtype());
  const LoadedParameter running_var(call.running_var, call.x.dtype());
  const LoadedParameter weight(call.weight, call.x.dtype());
  const LoadedParameter bias(call.bias, call.x.dtype());
  const InvstdOrVar invstd(channels_of(running_var.get()), call.eps);
  return run_given(
      {running_mean.get(), running_var.get(), weight.get(), bias.get()}, invstd,
      {call.x, call.out, call.relu},
      [&](const DataOperands& data, const std::optional<Epilogue>& relu, const GivenChannels& g) {
        execute(call.function, InferOperands{call.rows, data.input(0), g.mean, g.invstd_or_var,
                                             g.weight, g.bias, call.eps, data.output(), relu});
      });
}

Tensor run_elemt(const char* function, const Tensor& x_arg, const Tensor& weight_arg,
                 const Tensor& bias_arg, const Tensor& mean, const Tensor& invstd,
                 const Tensor& out) {
  const LoadedParameter weight(weight_arg, x_arg.dtype());
  const LoadedParameter bias(bias_arg, x_arg.dtype());
  return run_given({mean, invstd, weight.get(), bias.get()}, InvstdOrVar(invstd),
                   {x_arg, out, std::nullopt},
                   [&](const DataOperands& data, const std::optional<Epilogue>& /*none*/,
                       const GivenChannels& g) {
                     execute(function, ElemtOperands{data.input(0), g.weight, g.bias, g.mean,
                                                     g.invstd_or_var, data.output()});
                   });
}

Extents check_infer(const InferCall& call) {
  const Extents e = check_data(call.function, "x", call.x);
  check_relu(call.function, call.x, call.relu);
  check_running(call.function, call.x, e, call.running_mean, call.running_var);
  check_affine(call.function, call.x, e, call.weight, call.bias);
  check_eps(call.function, call.eps);
  check_out(call.function, call.out, call.x,
            {&call.x, &call.weight, &call.bias, &call.running_mean, &call.running_var},
            addend_of(call.relu));
  return e;
}

}  // namespace

Tensor infer(const InferCall& call) {
  check_linked(call.function, call.rows.operation);
  if (check_infer(call).numel() == 0) {
    return empty_result(call.x, call.out);
  }
  if (!wants_widened_data(call.x,
                          {&call.running_mean, &call.running_var, &call.weight, &call.bias})) {
    return run_infer(call);
  }
  const Tensor x = widened(call.x);
  const Tensor none;
  const Tensor y =
      run_infer({call.function, call.rows, x, call.running_mean, call.running_var, call.weight,
                 call.bias, call.eps, none, with_addend(call.relu, widened)});
  return narrowed(y, call.x, call.out);
}

}  // namespace detail

namespace functional {

Tensor batch_norm_elemt(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& mean_arg, const Tensor& invstd_arg, Tensor out) {
  constexpr const char* function = "batch_norm_elemt";
  detail::check_linked(function, detail::Operation::batch_norm_elemt);
  const detail::Extents e = detail::check_data(function, "x", x);
  detail::check_affine(function, x, e, weight, bias);
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, x.device());
  const Tensor invstd = detail::check_statistic(function, "invstd", invstd_arg, e.C, x.device());
  detail::check_out(function, out, x, {&x, &weight, &bias, &mean_arg, &invstd_arg});
  if (e.numel() == 0) {
    return detail::empty_result(x, out);
  }
  if (detail::wants_widened_data(x, {&weight, &bias})) {
    const Tensor y =
        detail::run_elemt(function, detail::widened(x), weight, bias, mean, invstd, Tensor());
    return detail::narrowed(y, x, std::move(out));
  }
  return detail::run_elemt(function, x, weight, bias, mean, invstd, out);
}

}  // namespace functional

}  // namespace halnorm::HALNORM_ABI
