#include "halnorm/nn/batch_norm.h"

#include <cmath>
#include <initializer_list>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/format.h"
#include "functional/arguments/check.h"
#include "halnorm/error.h"
#include "halnorm/grad_mode.h"
#include "nn/batch_norm/layer_call.h"
#include "nn/module/call_frame.h"
#include "tensor/planned_write.h"

namespace halnorm::HALNORM_ABI::nn {

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

BatchNorm::BatchNorm(const char* class_name, std::int64_t num_features,
                     const BatchNormOptions& options)
    : num_features_(num_features), options_(options) {
  detail::ModuleImpl::of(*this).saved = std::make_unique<detail::SavedForwards>(max_saved_forwards);
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

Tensor BatchNorm::forward(const Tensor& x) { return compute(x, Tensor()); }

Tensor BatchNorm::forward_into(const Tensor& x, const Tensor& out) {
  if (!out.defined()) {
    return forward(x);
  }
  const std::type_info& type = typeid(*this);
  if (type == typeid(BatchNorm1d) || type == typeid(BatchNorm2d) || type == typeid(BatchNorm3d)) {
    return compute(x, out);
  }
  if (x.defined()) {
    halnorm::detail::check_out("BatchNorm::operator()", out, x, {&x});
  }
  return Module::forward_into(x, out);
}

Tensor BatchNorm::compute(const Tensor& x, const Tensor& out) {
  return detail::LayerCall(*this).forward(x, out, {});
}

Tensor BatchNorm::backward(const Tensor& grad_output) {
  return differentiate_latest(grad_output).dx;
}

BatchNorm::InputGradients BatchNorm::differentiate_latest(const Tensor& grad_output) {
  CallFrame frame(*this);
  try {
    return detail::LayerCall(*this).backward(grad_output);
  } catch (const Error&) {
    frame.rethrow();
  }
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

}  // namespace halnorm::HALNORM_ABI::nn
