#include <istream>
#include <string>
#include <utility>

#include "base/strides.h"
#include "distributed/agree.h"
#include "halnorm/error.h"
#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"
#include "tensor/impl.h"

/// @file
/// Modules that become global, and local again.

namespace halnorm::HALNORM_ABI::nn {

namespace {

using detail::ModuleImpl;
using halnorm::detail::Terms;

std::string describe(const Tensor& tensor) {
  return halnorm::detail::to_string(tensor.shape()) + " " + std::string(name_of(tensor.dtype()));
}

/// All that has to be the same on each rank: classes, options, tensors and which of them are tied.
void add_terms(const Module& module, Terms& terms) {
  for (const auto& [path, below] : module.named_modules()) {
    terms.add("module '" + path + "'", below->shallow_str());
  }
  for (const auto& [path, parameter] : module.named_parameters()) {
    const Tensor grad = parameter.grad();
    terms.add("parameter '" + path + "'",
              describe(parameter.data()) +
                  (parameter.requires_grad() ? ", requires grad" : ", requires no grad") +
                  (grad.defined() ? ", has grad of " + describe(grad) : ", has no grad"));
  }
  for (const auto& [path, buffer] : module.named_buffers()) {
    terms.add("buffer '" + path + "'", describe(buffer));
  }
}

void check_broadcast(const std::string& module, const Sbp& sbp) {
  if (!sbp.is_broadcast()) {
    throw ValueError(module + ".to_global: got sbp " + sbp.str() +
                     ", wanted broadcast: each rank needs all of a module's own tensors");
  }
}

/// Every tensor is on the host or on the placement's kind of device, and on no other placement.
void check_tensors(const Module& module, const Placement& placement) {
  const auto check = [&](const std::string& path, const Tensor& tensor) {
    if (tensor.is_global() && tensor.placement() != placement) {
      throw ValueError(
          "Expected all tensors to be on the same placement, but found at least two placements, " +
          tensor.placement().str() + " of '" + path + "' and " + placement.str() + "!");
    }
    if (is_floating(tensor.dtype()) && tensor.device().type != placement.device_type()) {
      throw DeviceError(module.name() + ".to_global: got '" + path + "' on " +
                        tensor.device().str() + ", wanted the device type of " + placement.str());
    }
  };
  for (const auto& [path, parameter] : module.named_parameters()) {
    check(path, parameter.data());
  }
  for (const auto& [path, buffer] : module.named_buffers()) {
    check(path, buffer);
  }
}

}  // namespace

Module& Module::to_global(const std::optional<Placement>& placement,
                          const std::optional<Sbp>& sbp) {
  if (impl_->placement == nullptr && !(placement && sbp)) {
    throw Error(
        "Converting a local tensor to global tensor must have placement and sbp parameters.");
  }
  const auto where = std::make_shared<const Placement>(placement ? *placement : *impl_->placement);
  const Sbp how = sbp.value_or(Sbp::broadcast());
  const ErasedModules erased;
  const auto all = modules();
  halnorm::detail::agree(*where, name() + ".to_global", [&](Terms& terms) {
    check_broadcast(name(), how);
    check_tensors(*this, *where);
    if (impl_->placement != nullptr && *impl_->placement != *where) {
      throw ValueError(name() + ".to_global: got " + where->str() + ", wanted the module's own " +
                       impl_->placement->str() + " or to_local() first");
    }
    add_terms(*this, terms);
  });
  apply_to_tensors([&](const Tensor& tensor) { return tensor.to_global(*where, how); });
  for (Module* module : all) {
    ModuleImpl::of(*module).placement = where;
  }
  return *this;
}

Module& Module::to_local() {
  if (impl_->placement == nullptr) {
    throw Error("Expected global tensor for to_local but got local tensor!");
  }
  const auto all = modules();
  apply_to_tensors(
      [](const Tensor& tensor) { return tensor.is_global() ? tensor.to_local() : tensor; });
  for (Module* module : all) {
    ModuleImpl::of(*module).placement = nullptr;
  }
  return *this;
}

void Module::load(std::istream& stream) {
  if (impl_->placement == nullptr) {
    load_state_dict(halnorm::load(stream));
    return;
  }
  StateDict dict;
  halnorm::detail::agree(*impl_->placement, name() + ".load", [&](Terms& terms) {
    dict = halnorm::load(stream);
    for (const auto& [path, tensor] : dict) {
      terms.add(path, describe(tensor));
    }
  });
  for (const std::string& path : dict.names()) {
    dict.set(path, dict.at(path).to_global(*impl_->placement, Sbp::broadcast()));
  }
  load_state_dict(dict);
}

}  // namespace halnorm::HALNORM_ABI::nn
