#include <memory>
#include <string>

#include "format.h"
#include "halnorm/error.h"
#include "halnorm/nn/batch_norm.h"

namespace halnorm::nn {

namespace {

[[noreturn]] void throw_rank(const std::string& name, const char* wanted, const Tensor& x) {
  throw ShapeError(name + ": expected " + wanted + " input (got " + std::to_string(x.dim()) +
                   "D input)");
}

}  // namespace

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
                             "reset_parameters", "reset_running_stats", "clear_saved_forwards"});
  return names;
}

/// Checkpoints from before the counter existed lack it: the module's own then stays.
void BatchNorm::load_from_state_dict(LoadState& load, const std::string& prefix) {
  Module::load_from_state_dict(load, prefix);
  std::erase(load.result.missing_keys, prefix + "num_batches_tracked");
}

BatchNorm1d::BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options)
    : BatchNorm("BatchNorm1d", num_features, options) {}

void BatchNorm1d::check_input_dim(const Tensor& x) const {
  if (x.dim() != 2 && x.dim() != 3) {
    throw_rank(name(), "2D or 3D", x);
  }
}

std::shared_ptr<Module> BatchNorm1d::new_instance() const {
  return std::make_shared<BatchNorm1d>(num_features(), options());
}

BatchNorm2d::BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options)
    : BatchNorm("BatchNorm2d", num_features, options) {}

void BatchNorm2d::check_input_dim(const Tensor& x) const {
  if (x.dim() != 4) {
    throw_rank(name(), "4D", x);
  }
}

std::shared_ptr<Module> BatchNorm2d::new_instance() const {
  return std::make_shared<BatchNorm2d>(num_features(), options());
}

BatchNorm3d::BatchNorm3d(std::int64_t num_features, const BatchNormOptions& options)
    : BatchNorm("BatchNorm3d", num_features, options) {}

void BatchNorm3d::check_input_dim(const Tensor& x) const {
  if (x.dim() != 5) {
    throw_rank(name(), "5D", x);
  }
}

std::shared_ptr<Module> BatchNorm3d::new_instance() const {
  return std::make_shared<BatchNorm3d>(num_features(), options());
}

}  // namespace halnorm::nn
