#include "functional/train.h"

#include <utility>

#include "functional/arguments/output.h"
#include "functional/arguments/parameter_types.h"
#include "functional/range/range_fallback.h"
#include "kernels/call.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// The held buffer if it has the right size, otherwise a new one. A device always gets a new one:
/// a backward pass that is queued in another stream may still read the old.
Tensor take(Tensor& held, std::int64_t channels, Device device) {
  Tensor taken = std::move(held);
  const bool is_reusable = device == Device::cpu() && taken.defined() &&
                           TensorAccess::of(taken).numel == channels &&
                           TensorAccess::of(taken).device == device;
  return is_reusable ? taken : Tensor::empty({channels}, DType::Float64, device);
}

Trained run_passes(const TrainCall& call) {
  const LoadedParameter weight(call.weight, call.x.dtype());
  const LoadedParameter bias(call.bias, call.x.dtype());
  const std::int64_t channels = call.x.shape()[1];
  const Layout layout = layout_of(call.x);
  const Tensor x = in_layout_or_items(call.x, layout);
  const Addend addend(call.relu, x, layout);
  Output y(call.out, call.x, layout, true);
  const ViewOf view(layout, {&x, &addend.tensor(), &y.target()});
  // Members are assigned one by one, because GCC 12 destroys the members of a nested aggregate
  // twice if a later initializer throws.
  Trained r;
  r.forward.mean = take(call.buffers.mean, channels, call.x.device());
  r.forward.invstd = take(call.buffers.invstd, channels, call.x.device());
  r.m2 = take(call.buffers.m2, channels, call.x.device());
  const auto running =
      statistics_for(call.update, x, {&x, &addend.tensor(), &weight.get(), &bias.get()});
  r.updated = running.has_value();
  const View data = view(x);
  const TrainOperands operands{.x = data,
                               .weight = weight_channels(weight.get(), channels, x),
                               .bias = bias_channels(bias.get(), channels, x),
                               .eps = call.eps,
                               .y = view(y.target()),
                               .mean = channels_of(r.forward.mean),
                               .invstd = channels_of(r.forward.invstd),
                               .m2 = channels_of(r.m2),
                               .running = r.updated ? &*running : nullptr,
                               .relu = addend.epilogue(view, data)};
  call.relu == nullptr ? execute(call.function, operands)
                       : call.relu->train(call.function, operands);
  r.forward.y = y.finish();
  return r;
}

/// One channel in Float64.
Trained run_range_fallback(const TrainCall& call, const Tensor& x, std::int64_t c) {
  const Tensor channel = range_fallback_channel(x, c);
  const Tensor weight = range_fallback_channel(call.weight, c);
  const Tensor bias = range_fallback_channel(call.bias, c);
  const Tensor none;
  TrainStatistics own;
  TrainCall of_channel{call.function, channel, weight, bias, call.eps, none, own};
  if (call.relu == nullptr) {
    return run_passes(of_channel);
  }
  const Tensor addend = range_fallback_channel(call.relu->addend, c);
  const AddRelu relu = call.relu->with(addend);
  of_channel.relu = &relu;
  return run_passes(of_channel);
}

/// Whether y overwrites inputs that the range fallback would still read.
bool loses_inputs(const TrainCall& call) {
  return loses_extremes(call.out, call.x) || (call.relu != nullptr && call.relu->addend.defined() &&
                                              loses_extremes(call.out, call.relu->addend));
}

/// Runs the kernels, and again in float64 for the channels that leave float32's range.
Trained run_with_fallback(const TrainCall& call) {
  const LoadedParameter weight(call.weight, call.x.dtype());
  const Extents e = extents_of(call.x);
  const auto extremes = [&](const Tensor& mean, const Tensor& m2) {
    return extreme_moments(call.x, mean, m2, static_cast<double>(e.count()), call.eps,
                           weight_channels(weight.get(), e.C, call.x));
  };
  const bool in_place = loses_inputs(call);
  const functional::Moments m =
      in_place ? functional::batch_norm_moments(call.x) : functional::Moments();
  const bool copies = in_place && !extremes(m.mean, m.m2).empty();
  const Tensor x = copies ? call.x.clone() : call.x;
  const Tensor none;
  const Tensor& addend_arg = call.relu == nullptr ? none : call.relu->addend;
  const Tensor addend = copies && addend_arg.defined() ? addend_arg.clone() : addend_arg;
  std::optional<AddRelu> relu;
  if (call.relu != nullptr) {
    relu.emplace(call.relu->with(addend));
  }
  const TrainCall kept{call.function, x,           weight.get(),
                       call.bias,     call.eps,    call.out,
                       call.buffers,  call.update, relu ? &*relu : nullptr};
  Trained r = run_passes(kept);
  if (in_place && !copies) {
    return r;  // the moments of two kernels may differ by a rounding; at a bound float32 is right
  }
  for (const std::int64_t c : extremes(r.forward.mean, r.m2)) {
    const Trained result = run_range_fallback(kept, x, c);
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
  TrainCall wide{call.function, x,    call.weight,  call.bias,
                 call.eps,      none, call.buffers, call.update};
  Trained r;
  if (call.relu == nullptr) {
    r = run_with_fallback(wide);
  } else {
    const Tensor& addend_arg = call.relu->addend;
    const Tensor addend = addend_arg.defined() ? widened(addend_arg) : addend_arg;
    const AddRelu relu = call.relu->with(addend);
    wide.relu = &relu;
    r = run_with_fallback(wide);
  }
  r.forward.y = narrowed(r.forward.y, call.x, call.out);
  return r;
}

}  // namespace

Trained train(const TrainCall& call) {
  const Tensor none;
  const auto [mean, var] =
      call.update == nullptr ? std::pair(&none, &none) : call.update->tensors();
  const bool widens = wants_widened_data(call.x, {mean, var, &call.weight, &call.bias});
  return widens ? run_widened(call) : run_with_fallback(call);
}

functional::BatchNormForward train_and_update(const TrainCall& call) {
  Trained r = train(call);
  if (r.updated) {
    call.update->count_writes();
  } else {
    call.update->run(call.function, r.forward.mean, r.m2,
                     static_cast<double>(extents_of(call.x).count()));
  }
  call.buffers.m2 = std::move(r.m2);
  return std::move(r.forward);
}

functional::BatchNormForward empty_train_result(const Tensor& x, const Tensor& out) {
  const std::int64_t channels = x.shape()[1];
  return {empty_result(x, out), Tensor::zeros({channels}, DType::Float64, x.device()),
          Tensor::zeros({channels}, DType::Float64, x.device())};
}

}  // namespace halnorm::HALNORM_ABI::detail
