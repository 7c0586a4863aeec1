#include <utility>

#include "halide_glue.h"
#include "halnorm/functional.h"
#include "output.h"
#include "parameter_types.h"
#include "passes.h"
#include "running_update.h"
#include "strided.h"
#include "tensor_impl.h"
#include "train_statistics.h"
#include "validate.h"
#include "wide.h"

namespace halnorm::functional {

using detail::Extents;
using detail::Layout;
using detail::RunningUpdate;
using detail::TrainStatistics;

namespace {

/// The statistics of an empty batch: nothing to divide by, so zeros.
BatchNormForward nothing(const Tensor& x, const Extents& e, Tensor out) {
  return {out.defined() ? std::move(out) : detail::empty_in_layout(x, Layout::ncl),
          Tensor::zeros({e.C}, DType::Float64, x.device()),
          Tensor::zeros({e.C}, DType::Float64, x.device())};
}

void check_affine(const char* function, const Tensor& x, const Extents& e, const Tensor& weight,
                  const Tensor& bias) {
  detail::check_parameter(function, "weight", weight, x, e.C, true);
  detail::check_parameter(function, "bias", bias, x, e.C, true);
  detail::check_same_dtype(function, "weight", weight, "bias", bias);
}

void check_running(const char* function, const Tensor& x, const Extents& e,
                   const Tensor& running_mean, const Tensor& running_var) {
  detail::check_parameter(function, "running_mean", running_mean, x, e.C, false);
  detail::check_parameter(function, "running_var", running_var, x, e.C, false);
  detail::check_same_dtype(function, "running_mean", running_mean, "running_var", running_var);
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
  const Tensor x = detail::in_layout(given, layout);
  detail::Output y(out, given, layout);
  // One by one: GCC 12 destroys the members of a nested aggregate twice if a later one throws.
  Trained r;
  r.forward.mean = take(room.mean, e.C, given.device());
  r.forward.invstd = take(room.invstd, e.C, given.device());
  r.m2 = take(room.m2, e.C, given.device());
  r.updated = update != nullptr && update->goes_along(x, {&x, &weight.get(), &bias.get()});
  detail::train_pass(
      function, detail::view_of(x, layout), detail::weight_channels(weight.get(), e.C, x),
      detail::bias_channels(bias.get(), e.C, x), eps, detail::view_of(y.target(), layout),
      detail::channels_of(r.forward.mean), detail::channels_of(r.forward.invstd),
      detail::channels_of(r.m2), r.updated ? update : nullptr);
  r.forward.y = y.finish();
  return r;
}

/// Whether x holds channels for overflowed_channels(): asked before a call that overwrites x.
bool overflows(const Tensor& x, const Extents& e, double eps) {
  const Moments m = batch_norm_moments(x);
  return !detail::overflowed_channels(x, m.mean, m.m2, static_cast<double>(e.count()), eps).empty();
}

/// The kernel, and again in float64 for the channels that leave float32's range.
Trained run_train(const char* function, const Tensor& given, const Extents& e, const Tensor& weight,
                  const Tensor& bias, double eps, const Tensor& out, TrainStatistics& room,
                  const RunningUpdate* update) {
  const bool in_place = out.defined() && detail::may_overlap(out, given);
  const bool narrow = given.dtype() != DType::Float64 && given.device() == Device::cpu();
  const Tensor x = in_place && narrow && overflows(given, e, eps) ? given.clone() : given;
  Trained r = run_passes_of_train(function, x, e, weight, bias, eps, out, room, update);
  const auto count = static_cast<double>(e.count());
  for (const std::int64_t c : detail::overflowed_channels(x, r.forward.mean, r.m2, count, eps)) {
    TrainStatistics own;
    const Trained wide = run_passes_of_train(
        function, detail::wide_channel(x, c), {e.N, 1, e.L}, detail::wide_channel(weight, c),
        detail::wide_channel(bias, c), eps, Tensor(), own, nullptr);
    detail::channel_of(r.forward.y, c).copy_(wide.forward.y);
    detail::channel_of(r.forward.mean, c).copy_(wide.forward.mean);
    detail::channel_of(r.forward.invstd, c).copy_(wide.forward.invstd);
    detail::channel_of(r.m2, c).copy_(wide.m2);
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

}  // namespace

BatchNormForward batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  double eps, Tensor out) {
  constexpr const char* function = "batch_norm_train";
  const Extents e = detail::check_data(function, "x", x);
  check_affine(function, x, e, weight, bias);
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
  const Extents e = detail::check_data(function, "x", x);
  check_running(function, x, e, running_mean, running_var);
  check_affine(function, x, e, weight, bias);
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
  const Extents e = detail::check_data(function, "x", given);
  check_running(function, given, e, given_mean, given_var);
  check_affine(function, given, e, given_weight, given_bias);
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
  const Layout layout = detail::elementwise_layout_of(given);
  const Tensor x = detail::in_layout(given, layout);
  detail::Output y(out, given, layout);
  detail::infer_pass(
      function, detail::view_of(x, layout), detail::channels_of(running_mean.get()),
      detail::channels_of(running_var.get()), detail::weight_channels(weight.get(), e.C, x),
      detail::bias_channels(bias.get(), e.C, x), eps, detail::view_of(y.target(), layout));
  return y.finish();
}

Tensor batch_norm_elemt(const Tensor& given, const Tensor& given_weight, const Tensor& given_bias,
                        const Tensor& given_mean, const Tensor& given_invstd, Tensor out) {
  constexpr const char* function = "batch_norm_elemt";
  const Extents e = detail::check_data(function, "x", given);
  check_affine(function, given, e, given_weight, given_bias);
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
  const Layout layout = detail::elementwise_layout_of(given);
  const Tensor x = detail::in_layout(given, layout);
  detail::Output y(out, given, layout);
  detail::normalize_pass(function, detail::view_of(x, layout),
                         detail::weight_channels(weight.get(), e.C, x),
                         detail::bias_channels(bias.get(), e.C, x), detail::channels_of(mean),
                         detail::channels_of(invstd), detail::view_of(y.target(), layout));
  return y.finish();
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

void update_running_stats(const Tensor& running_mean, const Tensor& running_var,
                          const Moments& moments, double factor) {
  constexpr const char* function = "update_running_stats";
  const double count = detail::check_update(function, running_mean, running_var, moments, factor);
  const std::int64_t channels = running_mean.size(0);
  const Tensor mean = detail::check_statistic(function, "moments.mean", moments.mean, channels,
                                              running_mean.device());
  const Tensor m2 =
      detail::check_statistic(function, "moments.m2", moments.m2, channels, running_mean.device());
  if (count == 0 || channels == 0) {
    return;
  }
  RunningUpdate(running_mean, running_var, factor).run(function, mean, m2, count);
}

}  // namespace halnorm::functional
