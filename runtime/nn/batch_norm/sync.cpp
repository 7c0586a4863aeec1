#include "halnorm/nn/sync_batch_norm.h"

#include <limits>
#include <memory>
#include <typeinfo>
#include <unordered_map>
#include <utility>

#include "halnorm/error.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::nn {

SyncBatchNorm::SyncBatchNorm(std::int64_t num_features, const BatchNormOptions& options)
    : Typed("SyncBatchNorm", num_features, options) {}

/// This rank's rows as a part of a global tensor. In eval mode nobody needs to know the others'
/// rows, and so they are not asked for.
Tensor SyncBatchNorm::as_rows(const Tensor& local) const {
  const bool needs_all = is_training() || !running_mean.defined();
  if (needs_all || !local.defined() || local.dim() == 0) {
    return local.to_global(*placement(), Sbp::split(0));
  }
  return halnorm::detail::TensorAccess::distributed(
      local, std::make_shared<const halnorm::detail::Distribution>(
                 halnorm::detail::Distribution{*placement(), Sbp::split(0), local.shape(), {}}));
}

Tensor SyncBatchNorm::forward(const Tensor& x) {
  const bool converts = placement() != nullptr && !x.is_global();
  return converts ? BatchNorm::forward(as_rows(x)).to_local() : BatchNorm::forward(x);
}

Tensor SyncBatchNorm::backward(const Tensor& grad_output) {
  const bool converts = placement() != nullptr && !grad_output.is_global();
  return converts ? BatchNorm::backward(as_rows(grad_output)).to_local()
                  : BatchNorm::backward(grad_output);
}

void SyncBatchNorm::check_input_dim(const Tensor& x) const {
  check_rank(x, 2, std::numeric_limits<std::int64_t>::max());
}

std::shared_ptr<Module> SyncBatchNorm::new_instance() const {
  return std::make_shared<SyncBatchNorm>(num_features(), options());
}

namespace {

bool is_replaced(const Module& module) {
  const std::type_info& type = typeid(module);
  return type == typeid(BatchNorm1d) || type == typeid(BatchNorm2d) || type == typeid(BatchNorm3d);
}

std::shared_ptr<SyncBatchNorm> synchronized(const BatchNorm& layer) {
  auto sync = std::make_shared<SyncBatchNorm>(
      layer.num_features(), BatchNormOptions{.eps = layer.eps(),
                                             .momentum = layer.momentum(),
                                             .affine = layer.affine(),
                                             .track_running_stats = layer.track_running_stats()});
  sync->weight = layer.weight;
  sync->bias = layer.bias;
  sync->running_mean = layer.running_mean;
  sync->running_var = layer.running_var;
  sync->num_batches_tracked = layer.num_batches_tracked;
  sync->set_training(layer.is_training());
  return sync;
}

/// One replacement for each layer, however many places it stands in.
class Replacements {
 public:
  std::shared_ptr<SyncBatchNorm> of(const Module& module) {
    auto& made = made_[&module];
    if (made == nullptr) {
      made = synchronized(dynamic_cast<const BatchNorm&>(module));
      in_order_.push_back(made);
    }
    return made;
  }
  [[nodiscard]] const auto& in_order() const noexcept { return in_order_; }

 private:
  std::unordered_map<const Module*, std::shared_ptr<SyncBatchNorm>> made_;
  std::vector<std::shared_ptr<SyncBatchNorm>> in_order_;  ///< the same on each rank
};

void replace_children(Module& parent, Replacements& replacements) {
  for (const std::string& name : parent.member_names()) {
    if (!parent.has(name)) {
      continue;  // a member of the class that is no entry
    }
    const auto entry = parent.get(name);
    auto* const* child = std::get_if<Module*>(&entry);
    if (child != nullptr && *child != nullptr && is_replaced(**child)) {
      parent.set(name, std::static_pointer_cast<Module>(replacements.of(**child)));
    }
  }
}

}  // namespace

std::shared_ptr<Module> convert_sync_batchnorm(std::shared_ptr<Module> module,
                                               const Placement& placement) {
  if (module == nullptr) {
    throw ValueError("convert_sync_batchnorm: got a null module, wanted a module");
  }
  Replacements replacements;
  const auto all = module->modules();  // keeps those that are replaced alive
  for (Module* parent : all) {
    replace_children(*parent, replacements);
  }
  if (is_replaced(*module)) {
    module = replacements.of(*module);
  }
  for (const auto& layer : replacements.in_order()) {
    layer->to_global(placement, Sbp::broadcast());
  }
  return module;
}

}  // namespace halnorm::HALNORM_ABI::nn
