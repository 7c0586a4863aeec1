#include <utility>

#include "functional/check.h"
#include "functional/output.h"
#include "functional/parameter_types.h"
#include "functional/range_fallback.h"
#include "functional/running_update.h"
#include "functional/train_statistics.h"
#include "halnorm/functional.h"
#include "kernels/call.h"
#include "plan/execute.h"
#include "tensor/impl.h"

namespace halnorm::functional {

using detail::Channels;
using detail::Extents;
using detail::Layout;
using detail::RunningUpdate;
using detail::TrainStatistics;
using detail::View;

namespace {

/// The statistics of an empty batch: nothing to divide by, so zeros.
BatchNormForward nothing(const Tensor& x, const Extents& e, Tensor out) {
  return {out.defined() ? std::move(out) : detail::empty_in_layout(x, Layout::ncl),
          Tensor::zeros({e.C}, DType::Float64, x.device()),
          Tensor::zeros({e.C}, DType::Float64, x.device())};
}

struct Trained {
  BatchNormForward forward;
  Tensor m2;
  bool updated = false;  ///< the running statistics, on the way
};

/// One of room's tensors, or a new one where it has none that fits. On a device always a new one:
/// a backward pass that is queued in another stream may still read the old.
Tensor take(Tensor& held, std::int64_t channels, Device device) {
  Tensor taken = std::move(held);
  const bool fits = device == Device::cpu() && taken.defined() &&
                    detail::TensorAccess::of(taken).numel == channels &&
                    detail::TensorAccess::of(taken).device == device;
  return fits ? taken : Tensor::empty({channels}, DType::Float64, device);
}

/// Arguments are checked and the batch is not empty.
Trained run_passes_of_train(const char* function, const Tensor& given, const Extents& e,
                            const Tensor& given_weight, const Tensor& given_bias, double eps,
                            const Tensor& out, TrainStatistics& room, const RunningUpdate* update) {
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const detail::LoadedParameter bias(given_bias, given.dtype());
  const Layout layout = detail::layout_of(given);
  const Tensor x = detail::in_layout_or_items(given, layout);
  detail::Output y(out, given, layout, true);
  const detail::ViewOf view(layout, {&x, &y.target()});
  // One by one: GCC 12 destroys the members of a nested aggregate twice if a later one throws.
  Trained r;
  r.forward.mean = take(room.mean, e.C, given.device());
  r.forward.invstd = take(room.invstd, e.C, given.device());
  r.m2 = take(room.m2, e.C, given.device());
  const auto running = detail::statistics_for(update, x, {&x, &weight.get(), &bias.get()});
  r.updated = running.has_value();
  detail::execute(function,
                  detail::TrainOperands{.x = view(x),
                                        .weight = detail::weight_channels(weight.get(), e.C, x),
                                        .bias = detail::bias_channels(bias.get(), e.C, x),
                                        .eps = eps,
                                        .y = view(y.target()),
                                        .mean = detail::channels_of(r.forward.mean),
                                        .invstd = detail::channels_of(r.forward.invstd),
                                        .m2 = detail::channels_of(r.m2),
                                        .running = r.updated ? &*running : nullptr});
  r.forward.y = y.finish();
  return r;
}

/// The kernel, and again in float64 for the channels that leave float32's range.
Trained run_train(const char* function, const Tensor& given, const Extents& e,
                  const Tensor& given_weight, const Tensor& bias, double eps, const Tensor& out,
                  TrainStatistics& room, const RunningUpdate* update) {
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const auto extremes = [&](const Tensor& mean, const Tensor& m2) {
    return detail::extreme_moments(given, mean, m2, static_cast<double>(e.count()), eps,
                                   detail::weight_channels(weight.get(), e.C, given));
  };
  const bool in_place = detail::loses_extremes(out, given);
  const Moments m = in_place ? batch_norm_moments(given) : Moments();
  const bool copies = in_place && !extremes(m.mean, m.m2).empty();
  const Tensor x = copies ? given.clone() : given;
  Trained r = run_passes_of_train(function, x, e, weight.get(), bias, eps, out, room, update);
  if (in_place && !copies) {
    return r;  // the two kernels' moments may differ by a rounding, at a bound
  }
  for (const std::int64_t c : extremes(r.forward.mean, r.m2)) {
    TrainStatistics own;
    const Trained wide = run_passes_of_train(
        function, detail::wide_channel(x, c), {e.N, 1, e.L}, detail::wide_channel(weight.get(), c),
        detail::wide_channel(bias, c), eps, Tensor(), own, nullptr);
    detail::store_channel(r.forward.y, c, wide.forward.y);
    detail::store_channel(r.forward.mean, c, wide.forward.mean);
    detail::store_channel(r.forward.invstd, c, wide.forward.invstd);
    detail::store_channel(r.m2, c, wide.m2);
  }
  return r;
}

/// The same in Float64, for parameters or running statistics that are.
Trained run_wide_train(const char* function, const Tensor& x, const Extents& e,
                       const Tensor& weight, const Tensor& bias, double eps, const Tensor& out,
                       TrainStatistics& room, const RunningUpdate* update) {
  Trained r = run_train(function, detail::widened(x), e, weight, bias, eps, Tensor(), room, update);
  r.forward.y = detail::narrowed(r.forward.y, x, out);
  return r;
}

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

}  // namespace

BatchNormForward batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  double eps, Tensor out) {
  constexpr const char* function = "batch_norm_train";
  detail::check_linked(function, detail::Operation::batch_norm_train);
  const Extents e = detail::check_data(function, "x", x);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  detail::check_batch(function, x, e);
  detail::check_out(function, out, x, {&x, &weight, &bias});
  if (e.numel() == 0) {
    return nothing(x, e, std::move(out));
  }
  const bool wide = detail::wants_wide_data(x, {&weight, &bias});
  TrainStatistics room;
  return (wide ? run_wide_train : run_train)(function, x, e, weight, bias, eps, out, room, nullptr)
      .forward;
}

BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps, Tensor out,
                                         TrainStatistics& room) {
  constexpr const char* function = "batch_norm_train_update";
  detail::check_linked(function, detail::Operation::batch_norm_train);
  const Extents e = detail::check_data(function, "x", x);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  detail::check_factor(function, "factor", factor);
  detail::check_written(function, running_mean, running_var);
  detail::check_batch(function, x, e);
  detail::check_out(function, out, x, {&x, &weight, &bias, &running_mean, &running_var});
  if (e.numel() == 0) {
    return nothing(x, e, std::move(out));
  }
  const bool wide = detail::wants_wide_data(x, {&weight, &bias, &running_mean, &running_var});
  const RunningUpdate update(running_mean, running_var, factor);
  Trained r =
      (wide ? run_wide_train : run_train)(function, x, e, weight, bias, eps, out, room, &update);
  if (r.updated) {
    update.count_writes();
  } else {
    update.run(function, r.forward.mean, r.m2, static_cast<double>(e.count()));
  }
  room.m2 = std::move(r.m2);
  return std::move(r.forward);
}

BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps,
                                         Tensor out) {
  TrainStatistics room;
  return batch_norm_train_update(x, running_mean, running_var, weight, bias, factor, eps,
                                 std::move(out), room);
}

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
    return nothing(given, e, std::move(out)).y;
  }
  if (detail::wants_wide_data(given, {&given_mean, &given_var, &given_weight, &given_bias})) {
    const Tensor y = batch_norm_infer(detail::widened(given), given_mean, given_var, given_weight,
                                      given_bias, eps);
    return detail::narrowed(y, given, std::move(out));
  }
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
    return nothing(given, e, std::move(out)).y;
  }
  if (detail::wants_wide_data(given, {&given_weight, &given_bias})) {
    const Tensor y =
        batch_norm_elemt(detail::widened(given), given_weight, given_bias, mean, invstd);
    return detail::narrowed(y, given, std::move(out));
  }
  const detail::LoadedParameter weight(given_weight, given.dtype());
  const detail::LoadedParameter bias(given_bias, given.dtype());
  return run_given({mean, invstd, weight.get(), bias.get()}, detail::InvstdOrVar(invstd), given,
                   out, [&](const View& x, const GivenChannels& g, const View& y) {
                     detail::execute(function, detail::ElemtOperands{x, g.weight, g.bias, g.mean,
                                                                     g.invstd_or_var, y});
                   });
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training,
                  std::optional<double> momentum, double eps, Tensor out) {
  const bool running = detail::check_pair("batch_norm", running_mean, running_var);
  if (running && !training) {
    return batch_norm_infer(x, running_mean, running_var, weight, bias, eps, std::move(out));
  }
  if (running && momentum) {
    detail::check_factor("batch_norm", "momentum", *momentum);
    return batch_norm_train_update(x, running_mean, running_var, weight, bias, *momentum, eps,
                                   std::move(out))
        .y;
  }
  return batch_norm_train(x, weight, bias, eps, std::move(out)).y;
}

}  // namespace halnorm::functional
