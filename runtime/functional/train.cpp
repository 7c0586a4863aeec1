#include "functional/train.h"

#include <utility>

#include "functional/arguments/check.h"
#include "functional/arguments/parameter_types.h"
#include "functional/moments.h"
#include "functional/range/range_fallback.h"
#include "plan/execution/execute.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

struct Trained {
  functional::BatchNormForward forward;
  Tensor m2;
  bool updated = false;  ///< the training kernel has updated the running statistics
};

/// The held buffer if it has the right size, otherwise a new one. A device always gets a new one:
/// a backward pass that is queued in another stream may still read the old.
Tensor take(Tensor& held, std::int64_t channels, Device device) {
  Tensor taken = std::move(held);
  const bool is_reusable = device == Device::cpu() && taken.defined() &&
                           TensorAccess::of(taken).numel == channels &&
                           TensorAccess::of(taken).device == device;
  return is_reusable ? taken : Tensor::empty({channels}, DType::Float64, device);
}

/// Parameters have the kernel's dtype.
Trained run_passes(const TrainCall& call) {
  const Tensor& x = call.x;
  const std::int64_t channels = x.shape()[1];
  const Tensor* addend = addend_of(call.relu);
  DataOperands data(layout_of(x), {&x, addend}, call.out);
  const EpilogueView relu(call.relu, data, x);
  // Members are assigned one by one, because GCC 12 destroys the members of a nested aggregate
  // twice if a later initializer throws.
  Trained r;
  r.forward.mean = take(call.buffers.mean, channels, x.device());
  r.forward.invstd = take(call.buffers.invstd, channels, x.device());
  r.m2 = take(call.buffers.m2, channels, x.device());
  std::optional<RunningStatistics> running;
  if (call.update != nullptr) {
    running = call.update->statistics_for(
        x, {&x, addend == nullptr ? &x : addend, &call.weight, &call.bias});
  }
  r.updated = running.has_value();
  execute(call.function, TrainOperands{.rows = call.rows,
                                       .x = data.input(0),
                                       .weight = weight_channels(call.weight, channels, x),
                                       .bias = bias_channels(call.bias, channels, x),
                                       .eps = call.eps,
                                       .y = data.output(),
                                       .mean = channels_of(r.forward.mean),
                                       .invstd = channels_of(r.forward.invstd),
                                       .m2 = channels_of(r.m2),
                                       .running = r.updated ? &*running : nullptr,
                                       .relu = relu.get()});
  r.forward.y = data.finish();
  return r;
}

/// One channel in Float64.
Trained run_range_fallback(const TrainCall& call, std::int64_t c) {
  const auto of_channel = [c](const Tensor& t) { return range_fallback_channel(t, c); };
  const Tensor x = of_channel(call.x);
  const Tensor weight = of_channel(call.weight);
  const Tensor bias = of_channel(call.bias);
  const Tensor none;
  TrainStatistics own;
  return run_passes({call.function, call.rows, x, weight, bias, call.eps, none, own, nullptr,
                     with_addend(call.relu, of_channel)});
}

/// Whether y overwrites inputs that the range fallback would still read.
bool loses_inputs(const TrainCall& call) {
  const Tensor* addend = addend_of(call.relu);
  return loses_extremes(call.out, call.x) ||
         (addend != nullptr && loses_extremes(call.out, *addend));
}

/// Runs the kernels, and again in float64 for the channels that leave float32's range.
Trained run_with_fallback(const TrainCall& call) {
  const LoadedParameter weight(call.weight, call.x.dtype());
  const LoadedParameter bias(call.bias, call.x.dtype());
  const Extents e = extents_of(call.x);
  const auto extremes = [&](const Tensor& mean, const Tensor& m2) {
    return extreme_moments(call.x, mean, m2, static_cast<double>(e.count()), call.eps,
                           weight_channels(weight.get(), e.C, call.x));
  };
  const bool in_place = loses_inputs(call);
  const functional::Moments m = in_place ? moments(call.function, call.x) : functional::Moments();
  const bool copies = in_place && !extremes(m.mean, m.m2).empty();
  const Tensor x = copies ? call.x.clone() : call.x;
  const auto kept_addend = [&](const Tensor& t) { return copies ? t.clone() : t; };
  const TrainCall kept{call.function,
                       call.rows,
                       x,
                       weight.get(),
                       bias.get(),
                       call.eps,
                       call.out,
                       call.buffers,
                       call.update,
                       with_addend(call.relu, kept_addend)};
  Trained r = run_passes(kept);
  if (in_place && !copies) {
    return r;  // the moments of two kernels may differ by a rounding; at a bound float32 is right
  }
  for (const std::int64_t c : extremes(r.forward.mean, r.m2)) {
    const Trained result = run_range_fallback(kept, c);
    store_channel(r.forward.y, c, result.forward.y);
    store_channel(r.forward.mean, c, result.forward.mean);
    store_channel(r.forward.invstd, c, result.forward.invstd);
    store_channel(r.m2, c, result.m2);
  }
  return r;
}

/// The same in Float64, for parameters or running statistics that are.
Trained run_widened(const TrainCall& call) {
  const Tensor x = widened(call.x);
  const Tensor none;
  Trained r = run_with_fallback({call.function, call.rows, x, call.weight, call.bias, call.eps,
                                 none, call.buffers, call.update, with_addend(call.relu, widened)});
  r.forward.y = narrowed(r.forward.y, call.x, call.out);
  return r;
}

/// The running statistics that are updated; `none` for both if there is no update.
std::pair<const Tensor*, const Tensor*> running_of(const TrainCall& call, const Tensor& none) {
  return call.update == nullptr ? std::pair(&none, &none) : call.update->tensors();
}

/// y and the statistics of an empty batch, which are zeros.
functional::BatchNormForward empty_train_result(const Tensor& x, const Tensor& out) {
  const std::int64_t channels = x.shape()[1];
  return {empty_result(x, out), Tensor::zeros({channels}, DType::Float64, x.device()),
          Tensor::zeros({channels}, DType::Float64, x.device())};
}

}  // namespace

Extents check_train(const TrainCall& call, bool is_part) {
  const Extents e = check_data(call.function, "x", call.x);
  check_relu(call.function, call.x, call.relu);
  const Tensor none;
  const auto [mean, var] = running_of(call, none);
  if (call.update != nullptr) {
    check_running(call.function, call.x, e, *mean, *var);
  }
  check_affine(call.function, call.x, e, call.weight, call.bias);
  check_eps(call.function, call.eps);
  if (call.update != nullptr) {
    check_factor(call.function, "factor", call.update->factor());
    check_written(call.function, *mean, *var);
  }
  if (!is_part) {
    check_batch(call.function, call.x, e);
  }
  check_out(call.function, call.out, call.x, {&call.x, &call.weight, &call.bias, mean, var},
            addend_of(call.relu));
  return e;
}

functional::BatchNormForward train(const TrainCall& call) {
  check_linked(call.function, call.rows.operation);
  const Extents e = check_train(call);
  if (e.numel() == 0) {
    return empty_train_result(call.x, call.out);
  }
  const Tensor none;
  const auto [mean, var] = running_of(call, none);
  const bool widens = wants_widened_data(call.x, {mean, var, &call.weight, &call.bias});
  Trained r = widens ? run_widened(call) : run_with_fallback(call);
  if (r.updated) {
    call.update->count_writes();
  } else if (call.update != nullptr) {
    call.update->run(call.function, r.forward.mean, r.m2, static_cast<double>(e.count()));
  }
  call.buffers.m2 = std::move(r.m2);
  return std::move(r.forward);
}

}  // namespace halnorm::HALNORM_ABI::detail
