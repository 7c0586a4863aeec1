#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/strides.h"
#include "functional/fused_functions.h"
#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/error.h"
#include "halnorm/grad_mode.h"
#include "nn/batch_norm/layer_call.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

/// @file
/// The forward of a layer.

namespace halnorm::HALNORM_ABI::nn::detail {

Tensor kept_input(const Tensor& x, const Tensor& out) {
  return out.defined() && halnorm::detail::may_overlap(x, out) ? x.clone() : x;
}

void count_forward(std::int64_t* count, const Tensor& counter) {
  if (count != nullptr && *count < std::numeric_limits<std::int64_t>::max()) {
    ++*count;
    halnorm::detail::count_write(counter);
  }
}

Tensor LayerCall::forward(const Tensor& x, const Tensor& out, const Epilogue& epilogue) {
  if (layer_.placement() != nullptr ||
      (x.defined() && halnorm::detail::TensorAccess::of(x).distribution)) {
    return compute_global(x, out, epilogue);
  }
  check_input(x);
  check_statistics();
  return layer_.is_training() || !layer_.running_mean.defined()
             ? normalize_by_batch(x, out, epilogue)
             : normalize_by_running(x, out, epilogue);
}

void LayerCall::check_input(const Tensor& x) const {
  if (!x.defined()) {
    throw ValueError(layer_.name() + ": got an undefined tensor, wanted an input with " +
                     std::to_string(layer_.num_features_) + " channels");
  }
  layer_.check_input_dim(x);
  if (x.shape()[1] != layer_.num_features_) {
    throw ShapeError(layer_.name() + ": expected an input with " +
                     std::to_string(layer_.num_features_) + " channels (num_features), got " +
                     std::to_string(x.shape()[1]) + " in input size " +
                     halnorm::detail::to_string(x.shape()));
  }
}

void LayerCall::check_statistics() const {
  if (layer_.running_mean.defined() != layer_.running_var.defined()) {
    throw ValueError(layer_.name() +
                     ": running_mean and running_var must either both be None or neither be "
                     "None, but only " +
                     (layer_.running_mean.defined() ? "running_mean" : "running_var") +
                     " is defined");
  }
}

/// Where the counter is kept; null if nothing is counted.
std::int64_t* LayerCall::counter() const {
  if (!layer_.is_training() || !layer_.options_.track_running_stats ||
      !layer_.num_batches_tracked.defined()) {
    return nullptr;
  }
  const auto& fields = halnorm::detail::TensorAccess::of(layer_.num_batches_tracked);
  if (fields.numel != 1) {
    throw ShapeError(layer_.name() + ": num_batches_tracked should contain 1 element, got shape " +
                     halnorm::detail::to_string(fields.shape));
  }
  if (fields.dtype != DType::Int64) {
    throw DTypeError(layer_.name() + ": num_batches_tracked is " +
                     std::string(name_of(fields.dtype)) + ", wanted int64");
  }
  if (fields.memory) {
    throw DeviceError(layer_.name() + ": num_batches_tracked is on " + fields.device.str() +
                      ", wanted cpu");
  }
  return static_cast<std::int64_t*>(fields.data);
}

double LayerCall::update_factor(const std::int64_t* counter) const {
  if (layer_.options_.momentum) {
    return *layer_.options_.momentum;
  }
  if (counter == nullptr) {
    throw ValueError(layer_.name() +
                     ": got momentum None without num_batches_tracked, wanted the counter that "
                     "the average over all batches divides by");
  }
  if (*counter < 0) {
    throw ValueError(layer_.name() + ": num_batches_tracked is " + std::to_string(*counter) +
                     ", wanted at least 0 for momentum None, the average over all batches");
  }
  return 1.0 / (static_cast<double>(*counter) + 1.0);
}

functional::BatchNormForward LayerCall::train(const Tensor& x, const Tensor& out,
                                              const Epilogue& epilogue, const std::int64_t* count,
                                              halnorm::detail::TrainStatistics& buffers) {
  using halnorm::detail::plain_train;
  const Tensor weight = layer_.weight.data();
  const Tensor bias = layer_.bias.data();
  std::optional<halnorm::detail::RunningUpdate> update;
  if (layer_.is_training() && layer_.options_.track_running_stats &&
      layer_.running_mean.defined()) {
    update.emplace(layer_.running_mean, layer_.running_var, update_factor(count));
  }
  const auto& rows = epilogue.fused != nullptr ? epilogue.fused->train : plain_train;
  return halnorm::detail::train({update ? rows.function_with_update : rows.function, rows, x,
                                 weight, bias, layer_.options_.eps, out, buffers,
                                 update ? &*update : nullptr, epilogue.relu()});
}

void LayerCall::save(const Result& result, const Epilogue& epilogue, const How& how,
                     halnorm::detail::TrainStatistics& buffers) {
  SavedForward record{.x = std::move(result.x),
                      .weight = layer_.weight,
                      .bias = layer_.bias,
                      .training = layer_.is_training(),
                      .batch_statistics = result.batch_statistics,
                      .mean = std::move(result.mean),
                      .invstd_or_var = std::move(result.invstd_or_var),
                      .eps = layer_.options_.eps,
                      .y = epilogue.fused != nullptr ? result.y : Tensor(),
                      .fused = epilogue.fused,
                      .slope = epilogue.slope,
                      .has_addend = epilogue.addend.defined(),
                      .distribution = how,
                      .count = result.count};
  record.note_writes(layer_.weight.data());
  saved_.push(record, buffers);
}

Tensor LayerCall::normalize_by_batch(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                                     const How& how) {
  std::int64_t* const count = counter();
  halnorm::detail::TrainStatistics buffers;
  const bool keeps = saved_.begin(grad_enabled(), layer_.is_training(), &buffers);
  Tensor input = keeps ? kept_input(x, out) : Tensor();
  functional::BatchNormForward result = train(x, out, epilogue, count, buffers);
  count_forward(count, layer_.num_batches_tracked);
  if (!keeps) {
    saved_.give_buffers({std::move(result.mean), std::move(result.invstd), std::move(buffers.m2)});
  } else {
    save({input, result.mean, result.invstd, result.y}, epilogue, how, buffers);
  }
  return std::move(result.y);
}

Tensor LayerCall::normalize_by_running(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                                       const How& how) {
  const bool keeps = grad_enabled() && saved_.begin(true, layer_.is_training(), nullptr);
  Tensor input;
  Tensor mean;
  Tensor var;
  if (keeps) {
    input = kept_input(x, out);
    mean = layer_.running_mean.clone();
    var = layer_.running_var.clone();
  }
  const auto& rows =
      epilogue.fused != nullptr ? epilogue.fused->infer : halnorm::detail::plain_infer;
  const Tensor weight = layer_.weight.data();
  const Tensor bias = layer_.bias.data();
  Tensor y =
      halnorm::detail::infer({rows.function, rows, x, layer_.running_mean, layer_.running_var,
                              weight, bias, layer_.options_.eps, out, epilogue.relu()});
  if (keeps) {
    halnorm::detail::TrainStatistics no_buffers;
    save({input, mean, var, y, false}, epilogue, how, no_buffers);
  }
  return y;
}

}  // namespace halnorm::HALNORM_ABI::nn::detail
