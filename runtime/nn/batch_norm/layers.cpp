#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>

#include "base/format.h"
#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/nn/batch_norm.h"

namespace halnorm::HALNORM_ABI::nn {

std::string BatchNorm::extra_repr() const {
  using halnorm::detail::python_bool;
  using halnorm::detail::python_float;
  return std::to_string(num_features_) + ", eps=" + python_float(options_.eps) +
         ", momentum=" + (options_.momentum ? python_float(*options_.momentum) : "None") +
         ", affine=" + python_bool(options_.affine) +
         ", track_running_stats=" + python_bool(options_.track_running_stats);
}

std::vector<std::string_view> BatchNorm::attribute_names() const {
  auto names = Module::attribute_names();
  names.insert(names.end(), {"num_features", "eps", "momentum", "affine", "track_running_stats",
                             "reset_parameters", "reset_running_stats"});
  return names;
}

BatchNorm::ScaleAndShift BatchNorm::scale_and_shift() const {
  if (!running_mean.defined() || !running_var.defined()) {
    throw ValueError(name() + ": scale_and_shift: there are no running statistics, wanted both");
  }
  const Tensor ones = Tensor::ones({running_mean.numel(), 1}, DType::Float64);
  const auto folded =
      functional::fuse_linear_bn_weights(ones.to(running_mean.device()), {}, running_mean,
                                         running_var, options_.eps, weight.data(), bias.data());
  return {folded.weight.reshape({-1}), folded.bias};
}

/// Checkpoints from before the counter existed lack it: the module's own then stays.
void BatchNorm::load_from_state_dict(LoadState& load, const std::string& prefix) {
  auto& missing = load.result.missing_keys;
  const auto before = static_cast<std::ptrdiff_t>(missing.size());
  Module::load_from_state_dict(load, prefix);
  const std::string key = prefix + "num_batches_tracked";
  missing.erase(std::remove(missing.begin() + before, missing.end(), key), missing.end());
  const Tensor* counter = num_batches_tracked.defined() ? load.dict.find(key) : nullptr;
  if (counter != nullptr && counter->defined() && counter->numel() == 1 &&
      counter->item<double>() < 0) {
    load.error_messages.push_back("While copying the buffer \"" + key + "\": got " +
                                  halnorm::detail::python_float(counter->item<double>()) +
                                  " batches, wanted at least 0.");
  }
}

void BatchNorm::copy_settings(const Module& source) {
  const auto& layer = dynamic_cast<const BatchNorm&>(source);
  num_features_ = layer.num_features_;
  options_ = layer.options_;
}

void BatchNorm::check_rank(const Tensor& x, std::int64_t least, std::int64_t most) const {
  if (x.dim() < least || x.dim() > most) {
    const std::string wanted = least == most
                                   ? std::to_string(least) + "D"
                                   : std::to_string(least) + "D or " + std::to_string(most) + "D";
    throw ShapeError(name() + ": expected " + wanted + " input (got " + std::to_string(x.dim()) +
                     "D input)");
  }
}

BatchNorm1d::BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options)
    : Typed("BatchNorm1d", num_features, options) {}

void BatchNorm1d::check_input_dim(const Tensor& x) const { check_rank(x, 2, 3); }

std::shared_ptr<Module> BatchNorm1d::new_instance() const {
  return std::make_shared<BatchNorm1d>(num_features(), options());
}

BatchNorm2d::BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options)
    : Typed("BatchNorm2d", num_features, options) {}

void BatchNorm2d::check_input_dim(const Tensor& x) const { check_rank(x, 4, 4); }

std::shared_ptr<Module> BatchNorm2d::new_instance() const {
  return std::make_shared<BatchNorm2d>(num_features(), options());
}

BatchNorm3d::BatchNorm3d(std::int64_t num_features, const BatchNormOptions& options)
    : Typed("BatchNorm3d", num_features, options) {}

void BatchNorm3d::check_input_dim(const Tensor& x) const { check_rank(x, 5, 5); }

std::shared_ptr<Module> BatchNorm3d::new_instance() const {
  return std::make_shared<BatchNorm3d>(num_features(), options());
}

}  // namespace halnorm::HALNORM_ABI::nn
