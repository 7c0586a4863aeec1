#include <algorithm>
#include <string>

#include "format.h"
#include "halnorm/error.h"
#include "halnorm/nn/module.h"
#include "module_path.h"
#include "strided.h"

namespace halnorm::nn {

/// One conversion of a module tree: plan() converts everything into temporaries and may throw,
/// commit() puts them in place.
class ModuleConverter {
 public:
  explicit ModuleConverter(const std::function<Tensor(const Tensor&)>& fn) : fn_(fn) {}

  /// `prefix` ends in "." unless it is empty.
  void plan(Module& module, const std::string& prefix) {
    for (const auto& [name, child] : module.named_children()) {
      plan(*child, prefix + name + ".");
    }
    for (const auto& slot : module.registry_.parameters) {
      if (slot.value().defined()) {
        plan_parameter(prefix + slot.name, slot.value());
      }
    }
    for (const auto& slot : module.registry_.buffers) {
      if (slot.value().defined()) {
        converted(prefix + slot.name, slot.value());
      }
    }
  }

  void commit() {
    for (auto& [tensor, result] : tensors_) {
      tensor.set_data(result);
    }
  }

 private:
  /// fn's result for a tensor, which is asked for once however often the tensor is met.
  const Tensor& converted(const std::string& path, const Tensor& tensor) {
    const auto known = std::find_if(tensors_.begin(), tensors_.end(),
                                    [&](const auto& entry) { return entry.first.is_same(tensor); });
    if (known != tensors_.end()) {
      return known->second;
    }
    Tensor result = call(path, tensor);
    if (!result.defined()) {
      throw ValueError("apply_to_tensors: got an undefined tensor from the function for '" + path +
                       "', wanted one for each tensor");
    }
    return tensors_.emplace_back(tensor, std::move(result)).second;
  }

  Tensor call(const std::string& path, const Tensor& tensor) {
    try {
      return fn_(tensor);
    } catch (const Error&) {
      rethrow_with_path(path);
    }
  }

  void plan_parameter(const std::string& path, const Parameter& parameter) {
    const auto known = std::find_if(seen_.begin(), seen_.end(), [&](const Parameter& entry) {
      return entry.is_same(parameter);
    });
    if (known != seen_.end()) {
      return;
    }
    seen_.push_back(parameter);
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
  std::vector<std::pair<Tensor, Tensor>> tensors_;
  std::vector<Parameter> seen_;
};

Module& Module::apply_to_tensors(const std::function<Tensor(const Tensor&)>& fn) {
  if (!fn) {
    throw ValueError(name() +
                     ".apply_to_tensors: got an empty function, wanted one that can be called");
  }
  ModuleConverter converter(fn);
  converter.plan(*this, "");
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

}  // namespace halnorm::nn
