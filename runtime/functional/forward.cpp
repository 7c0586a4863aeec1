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
