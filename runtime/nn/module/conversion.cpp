#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/format.h"
#include "base/strides.h"
#include "halnorm/error.h"
#include "nn/module/call_frame.h"
#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"
#include "nn/module/tree.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

/// One conversion of a module tree: the walk converts everything into temporaries and may throw,
/// commit() puts them in place.
class ModuleConverter : public ModuleTree::Visitor {
 public:
  explicit ModuleConverter(const std::function<Tensor(const Tensor&)>& fn) : fn_(fn) {}

  bool enter(const ModuleTree::Place<Module>& place) { return seen_.insert(&place.module).second; }

  void leave(Module& module, const std::string& prefix) {
    for (const auto& slot : listed(detail::ModuleImpl::of(module).registry.parameters)) {
      plan_parameter(prefix + slot.name, slot.value());
    }
    for (const auto& slot : listed(detail::ModuleImpl::of(module).registry.buffers)) {
      converted(prefix + slot.name, slot.value());
    }
  }

  void commit() {
    std::vector<std::pair<Tensor, Tensor>> changes;
    for (const auto& [tensor, result] : conversions_) {
      if (!tensor.is_same(result)) {
        changes.emplace_back(tensor, halnorm::detail::TensorAccess::alias(result));
      }
    }
    for (auto& [tensor, alias] : changes) {
      halnorm::detail::TensorAccess::take_over(tensor, alias);
    }
  }

 private:
  /// The slots that have a value, with their values: fn may change the module.
  template <class T>
  static std::vector<Registry::Slot<T>> listed(const NamedEntries<Registry::Slot<T>>& slots) {
    std::vector<Registry::Slot<T>> result;
    for (const auto& slot : slots) {
      if (slot.value().defined()) {
        result.push_back({.name = slot.name, .own = slot.value()});
      }
    }
    return result;
  }

  /// fn's result for a tensor, which is asked for once however often the tensor is met.
  const Tensor& converted(const std::string& path, const Tensor& tensor) {
    if (const auto known = places_.find(tensor.identity()); known != places_.end()) {
      return conversions_[known->second].second;
    }
    Tensor result = call(path, tensor);
    if (!result.defined()) {
      throw ValueError("apply_to_tensors: got an undefined tensor from the function for '" + path +
                       "', wanted one for each tensor");
    }
    places_.emplace(tensor.identity(), conversions_.size());
    return conversions_.emplace_back(tensor, std::move(result)).second;
  }

  Tensor call(const std::string& path, const Tensor& tensor) {
    try {
      return fn_(tensor);
    } catch (const Error&) {
      rethrow_with_path(path);
    }
  }

  void plan_parameter(const std::string& path, const Parameter& parameter) {
    if (!seen_.insert(parameter.identity()).second) {
      return;
    }
    const Tensor data = converted(path, parameter.data());
    if (parameter.requires_grad() && !is_floating(data.dtype())) {
      throw DTypeError("apply_to_tensors: got " + std::string(name_of(data.dtype())) +
                       " for parameter '" + path + "', wanted a floating point dtype");
    }
    if (!parameter.grad().defined()) {
      return;
    }
    const Tensor grad = converted(path, parameter.grad());
    if (grad.shape() != data.shape()) {
      throw ShapeError("apply_to_tensors: got shape " + halnorm::detail::to_string(grad.shape()) +
                       " for the gradient of parameter '" + path + "', wanted the data's " +
                       halnorm::detail::to_string(data.shape()));
    }
  }

  const std::function<Tensor(const Tensor&)>& fn_;
  std::vector<std::pair<Tensor, Tensor>> conversions_;
  std::unordered_map<const void*, std::size_t> places_;  ///< of tensors in conversions_
  std::unordered_set<const void*> seen_;                 ///< modules and parameters
};

}  // namespace

Module& Module::apply_to_tensors(const std::function<Tensor(const Tensor&)>& fn) {
  if (!fn) {
    throw ValueError(name() +
                     ".apply_to_tensors: got an empty function, wanted one that can be called");
  }
  const ErasedModules erased;
  ModuleConverter converter(fn);
  ModuleTree::walk(*this, "", converter);
  converter.commit();
  return *this;
}

Module& Module::to(DType dtype) {
  if (!is_floating(dtype)) {
    throw DTypeError("nn.Module.to only accepts floating point dtypes, but got desired dtype=" +
                     halnorm::detail::to_string(dtype));
  }
  return apply_to_tensors([dtype](const Tensor& tensor) {
    return is_floating(tensor.dtype()) ? tensor.to(dtype) : tensor;
  });
}

namespace {

/// Counters stay on the host, where a forward reads and writes them without waiting for a device.
Tensor moved(const Tensor& tensor, Device device) {
  return is_floating(tensor.dtype()) ? tensor.to(device) : tensor;
}

}  // namespace

Module& Module::to(Device device) {
  return apply_to_tensors([device](const Tensor& tensor) { return moved(tensor, device); });
}

Module& Module::to(Device device, DType dtype) {
  if (!is_floating(dtype)) {
    return to(dtype);  // throws
  }
  return apply_to_tensors([device, dtype](const Tensor& tensor) {
    return is_floating(tensor.dtype()) ? tensor.to(dtype).to(device) : tensor;
  });
}

Module& Module::to(const Tensor& like) { return to(like.device(), like.dtype()); }

}  // namespace halnorm::HALNORM_ABI::nn
