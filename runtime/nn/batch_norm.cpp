#include "halnorm/nn/batch_norm.h"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strides.h"
#include "functional/arguments/check.h"
#include "functional/fused_functions.h"
#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/grad_mode.h"
#include "nn/call_frame.h"
#include "nn/forward_records.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"
#include "tensor/planned_write.h"

namespace halnorm::nn {

namespace {

void check_eps(const std::string& where, double eps) {
  if (!std::isfinite(eps) || eps < 0) {
    throw ValueError(where + ": got eps " + halnorm::detail::python_float(eps) +
                     ", wanted a finite number of at least 0");
  }
}

void check_momentum(const std::string& where, std::optional<double> momentum) {
  if (momentum && !std::isfinite(*momentum)) {
    throw ValueError(where + ": got momentum " + halnorm::detail::python_float(*momentum) +
                     ", wanted a finite number or none");
  }
}

/// Fills the tensors that are defined; all of them or, where memory runs out, none.
void fill_together(std::initializer_list<std::pair<Tensor, double>> fillings) {
  std::vector<halnorm::detail::PlannedWrite> writes;
  for (const auto& [tensor, value] : fillings) {
    if (tensor.defined()) {
      writes.emplace_back(tensor, value);
    }
  }
  halnorm::detail::run_all(writes);
}

}  // namespace

Tensor detail::kept_input(const Tensor& x, const Tensor& out) {
  return out.defined() && halnorm::detail::may_overlap(x, out) ? x.clone() : x;
}

void detail::count_forward(std::int64_t* count, const Tensor& counter) {
  if (count != nullptr && *count < std::numeric_limits<std::int64_t>::max()) {
    ++*count;
    halnorm::detail::count_write(counter);
  }
}

BatchNorm::BatchNorm(const char* class_name, std::int64_t num_features,
                     const BatchNormOptions& options)
    : num_features_(num_features),
      options_(options),
      saved_(std::make_unique<detail::SavedForwards>(max_saved_forwards)) {
  if (num_features < 0) {
    throw ValueError(std::string(class_name) + ": got num_features " +
                     std::to_string(num_features) + ", wanted at least 0");
  }
  check_eps(class_name, options.eps);
  check_momentum(class_name, options.momentum);
  bind_parameter("weight", weight);
  bind_parameter("bias", bias);
  bind_buffer("running_mean", running_mean);
  bind_buffer("running_var", running_var);
  bind_buffer("num_batches_tracked", num_batches_tracked);
  if (options.affine) {
    weight = Parameter(Tensor::ones({num_features}));
    bias = Parameter(Tensor::zeros({num_features}));
  }
  if (options.track_running_stats) {
    running_mean = Tensor::zeros({num_features});
    running_var = Tensor::ones({num_features});
    num_batches_tracked = Tensor::zeros({}, DType::Int64);
  }
}

BatchNorm::~BatchNorm() = default;

Tensor BatchNorm::operator()(const Tensor& x, const Tensor& out) { return call(x, out); }

Tensor BatchNorm::operator()(const Tensor& x, const Tensor& out) const {
  check_all_in_eval();
  const NoGradGuard guard;
  return const_cast<BatchNorm&>(*this)(x, out);
}

Tensor BatchNorm::forward(const Tensor& x) { return compute(x, Tensor(), {}); }

Tensor BatchNorm::forward_into(const Tensor& x, const Tensor& out) {
  if (!out.defined()) {
    return forward(x);
  }
  const std::type_info& type = typeid(*this);
  if (type == typeid(BatchNorm1d) || type == typeid(BatchNorm2d) || type == typeid(BatchNorm3d)) {
    return compute(x, out, {});
  }
  if (x.defined()) {
    halnorm::detail::check_out("BatchNorm::operator()", out, x, {&x});
  }
  return Module::forward_into(x, out);
}

Tensor BatchNorm::compute(const Tensor& x, const Tensor& out, const Epilogue& epilogue) {
  if (placement() != nullptr ||
      (x.defined() && halnorm::detail::TensorAccess::of(x).distribution)) {
    return compute_global(x, out, epilogue);
  }
  check_input(x);
  check_statistics();
  return is_training() || !running_mean.defined() ? normalize_by_batch(x, out, epilogue)
                                                  : normalize_by_running(x, out, epilogue);
}

void BatchNorm::check_input(const Tensor& x) const {
  if (!x.defined()) {
    throw ValueError(name() + ": got an undefined tensor, wanted an input with " +
                     std::to_string(num_features_) + " channels");
  }
  check_input_dim(x);
  if (x.shape()[1] != num_features_) {
    throw ShapeError(name() + ": expected an input with " + std::to_string(num_features_) +
                     " channels (num_features), got " + std::to_string(x.shape()[1]) +
                     " in input size " + halnorm::detail::to_string(x.shape()));
  }
}

void BatchNorm::check_statistics() const {
  if (running_mean.defined() != running_var.defined()) {
    throw ValueError(name() +
                     ": running_mean and running_var must either both be None or neither be "
                     "None, but only " +
                     (running_mean.defined() ? "running_mean" : "running_var") + " is defined");
  }
}

/// Where the counter is kept; null if nothing is counted.
std::int64_t* BatchNorm::counter() const {
  if (!is_training() || !options_.track_running_stats || !num_batches_tracked.defined()) {
    return nullptr;
  }
  const auto& fields = halnorm::detail::TensorAccess::of(num_batches_tracked);
  if (fields.numel != 1) {
    throw ShapeError(name() + ": num_batches_tracked should contain 1 element, got shape " +
                     halnorm::detail::to_string(fields.shape));
  }
  if (fields.dtype != DType::Int64) {
    throw DTypeError(name() + ": num_batches_tracked is " + std::string(name_of(fields.dtype)) +
                     ", wanted int64");
  }
  if (fields.memory) {
    throw DeviceError(name() + ": num_batches_tracked is on " + fields.device.str() +
                      ", wanted cpu");
  }
  return static_cast<std::int64_t*>(fields.data);
}

double BatchNorm::update_factor(const std::int64_t* counter) const {
  if (options_.momentum) {
    return *options_.momentum;
  }
  if (counter == nullptr) {
    throw ValueError(name() +
                     ": got momentum None without num_batches_tracked, wanted the counter that "
                     "the average over all batches divides by");
  }
  if (*counter < 0) {
    throw ValueError(name() + ": num_batches_tracked is " + std::to_string(*counter) +
                     ", wanted at least 0 for momentum None, the average over all batches");
  }
  return 1.0 / (static_cast<double>(*counter) + 1.0);
}

Tensor BatchNorm::normalize_by_batch(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                                     const How& how) {
  std::int64_t* const count = counter();
  const Tensor scale = weight.data();
  functional::BatchNormForward result;
  halnorm::detail::TrainStatistics room;
  const bool keeps = saved_->begin(grad_enabled(), is_training(), &room);
  Tensor input = keeps ? detail::kept_input(x, out) : Tensor();
  if (is_training() && options_.track_running_stats && running_mean.defined()) {
    const double factor = update_factor(count);
    result =
        epilogue.fused
            ? epilogue.fused->train_update(x, epilogue.addend, running_mean, running_var, scale,
                                           bias.data(), factor, options_.eps, out, epilogue.slope)
            : functional::batch_norm_train_update(x, running_mean, running_var, scale, bias.data(),
                                                  factor, options_.eps, out, room);
  } else {
    result = epilogue.fused
                 ? epilogue.fused->train(x, epilogue.addend, scale, bias.data(), options_.eps, out,
                                         epilogue.slope)
                 : functional::batch_norm_train(x, scale, bias.data(), options_.eps, out);
  }
  detail::count_forward(count, num_batches_tracked);
  if (!keeps) {
    saved_->give_room({std::move(result.mean), std::move(result.invstd), std::move(room.m2)});
  } else {
    detail::SavedForward record{.x = std::move(input),
                                .weight = weight,
                                .bias = bias,
                                .training = is_training(),
                                .mean = std::move(result.mean),
                                .spread = std::move(result.invstd),
                                .eps = options_.eps,
                                .y = epilogue.fused ? result.y : Tensor(),
                                .fused = epilogue.fused,
                                .slope = epilogue.slope,
                                .has_addend = epilogue.addend.defined(),
                                .distribution = how};
    record.note_writes(scale);
    saved_->push(record, room);
  }
  return std::move(result.y);
}

Tensor BatchNorm::normalize_by_running(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                                       const How& how) {
  detail::SavedForward record;
  const bool keeps = grad_enabled() && saved_->begin(true, is_training(), nullptr);
  if (keeps) {
    record = {.x = detail::kept_input(x, out),
              .weight = weight,
              .bias = bias,
              .training = is_training(),
              .batch_statistics = false,
              .mean = running_mean.clone(),
              .spread = running_var.clone(),
              .eps = options_.eps,
              .y = {},
              .fused = epilogue.fused,
              .slope = epilogue.slope,
              .has_addend = epilogue.addend.defined(),
              .distribution = how};
  }
  Tensor y =
      epilogue.fused
          ? epilogue.fused->infer(x, epilogue.addend, running_mean, running_var, weight.data(),
                                  bias.data(), options_.eps, out, epilogue.slope)
          : functional::batch_norm_infer(x, running_mean, running_var, weight.data(), bias.data(),
                                         options_.eps, out);
  if (keeps) {
    if (epilogue.fused) {
      record.y = y;
    }
    record.note_writes(weight.data());
    halnorm::detail::TrainStatistics no_room;
    saved_->push(record, no_room);
  }
  return y;
}

void BatchNorm::reset_running_stats() {
  if (options_.track_running_stats) {
    fill_together({{running_mean, 0}, {running_var, 1}, {num_batches_tracked, 0}});
  }
}

void BatchNorm::reset_parameters() {
  if (!options_.affine) {
    reset_running_stats();
  } else if (!options_.track_running_stats) {
    fill_together({{weight.data(), 1}, {bias.data(), 0}});
  } else {
    fill_together({{running_mean, 0},
                   {running_var, 1},
                   {num_batches_tracked, 0},
                   {weight.data(), 1},
                   {bias.data(), 0}});
  }
}

void BatchNorm::set_eps(double eps) {
  check_eps(name() + ".set_eps", eps);
  options_.eps = eps;
}

void BatchNorm::set_momentum(std::optional<double> momentum) {
  check_momentum(name() + ".set_momentum", momentum);
  options_.momentum = momentum;
}
}  // namespace halnorm::nn
