#include "halnorm/nn/module.h"

#include <algorithm>
#include <string>
#include <typeinfo>

#include "halnorm/error.h"
#include "halnorm/grad_mode.h"
#include "nn/module/call_frame.h"
#include "nn/module/class_name.h"
#include "nn/module/impl.h"
#include "nn/module/output_copy.h"
#include "tensor/planned_write.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

template <class Hook>
HookHandle ModuleImpl::add_hook(std::shared_ptr<detail::HookList<Hook>>& list, Hook hook,
                                bool prepend, const char* function) {
  if (!hook) {
    throw ValueError(std::string(function) +
                     ": got an empty function, wanted one that can be called");
  }
  if (!list) {
    list = std::make_shared<detail::HookList<Hook>>();
  }
  const std::uint64_t id = list->add(std::move(hook), prepend);
  return {list, id};
}

Module::Module() : impl_(std::make_unique<ModuleImpl>(*this)) {}

bool Module::is_training() const noexcept { return impl_->training; }
void Module::set_training(bool mode) noexcept { impl_->training = mode; }
const Placement* Module::placement() const noexcept { return impl_->placement.get(); }

Tensor Module::operator()(const Tensor& x) { return call(x, Tensor()); }

Tensor Module::operator()(const Tensor& x) const {
  check_all_in_eval();
  const NoGradGuard guard;
  return const_cast<Module&>(*this)(x);
}

void Module::check_all_in_eval() const {
  const auto check = [](const std::string& path, const Module& module) {
    if (module.is_training()) {
      throw ValueError((path.empty() ? "" : path.substr(0, path.size() - 1) + ": ") +
                       module.name() +
                       ": got a call of a const module in training mode, wanted eval mode");
    }
  };
  if (registered_module_count() == 0) {
    check("", *this);
  } else {
    visit_modules("", true, check);
  }
}

Tensor Module::call(const Tensor& x, const Tensor& out) {
  return call(x, [&](const Tensor& input) { return forward_into(input, out); });
}

Tensor Module::call(const Tensor& x, const std::function<Tensor(const Tensor& x)>& compute) {
  CallFrame frame(*this);
  try {
    if (!impl_->pre_hooks) {
      return impl_->run_hooks(x, compute(x));
    }
    Tensor input = x;
    const auto hooks = impl_->pre_hooks->entries();
    for (const auto& [id, hook] : *hooks) {
      if (Tensor replaced = hook(*this, input); replaced.defined()) {
        input = std::move(replaced);
      }
    }
    return impl_->run_hooks(input, compute(input));
  } catch (const Error&) {
    frame.rethrow();
  }
}

Tensor ModuleImpl::run_hooks(const Tensor& x, Tensor y) {
  if (!hooks) {
    return y;
  }
  const auto entries = hooks->entries();
  for (const auto& [id, hook] : *entries) {
    if (Tensor replaced = hook(module, x, y); replaced.defined()) {
      y = std::move(replaced);
    }
  }
  return y;
}

Tensor Module::forward_into(const Tensor& x, const Tensor& out) {
  return out.defined() ? copied_into(out, forward(apart_from(out, x))) : forward(x);
}

Tensor Module::forward(const Tensor& /*x*/) {
  throw Error(name() + ": got a call of forward, which this class does not implement");
}

Tensor Module::backward(const Tensor& /*grad_output*/) {
  throw Error(name() + ": got a call of backward, which this class does not implement");
}

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook, bool prepend) {
  return ModuleImpl::add_hook(impl_->pre_hooks, std::move(hook), prepend,
                              "register_forward_pre_hook");
}

HookHandle Module::register_forward_hook(ForwardHook hook, bool prepend) {
  return ModuleImpl::add_hook(impl_->hooks, std::move(hook), prepend, "register_forward_hook");
}

HookHandle Module::register_load_state_dict_pre_hook(LoadStateDictPreHook hook, bool prepend) {
  return ModuleImpl::add_hook(impl_->load_hooks, std::move(hook), prepend,
                              "register_load_state_dict_pre_hook");
}

Module& Module::train(bool mode) {
  for (Module* module : modules()) {
    module->set_training(mode);
  }
  return *this;
}

void Module::zero_grad(bool set_to_none) {
  std::vector<halnorm::detail::PlannedWrite> writes;
  for (const Parameter& parameter : parameters()) {
    if (set_to_none) {
      parameter.set_grad(Tensor());
    } else if (const Tensor grad = parameter.grad(); grad.defined()) {
      writes.emplace_back(grad, 0);
    }
  }
  halnorm::detail::run_all(writes);
}

Module& Module::requires_grad_(bool flag) {
  const auto all = parameters();
  const auto can_require = [](const Parameter& parameter) {
    return is_floating(parameter.data().dtype());
  };
  if (flag && !std::ranges::all_of(all, can_require)) {
    for (const auto& [name, parameter] : named_parameters()) {
      if (!can_require(parameter)) {
        throw DTypeError(this->name() + ".requires_grad_: got parameter '" + name + "' of dtype " +
                         std::string(name_of(parameter.data().dtype())) +
                         ", wanted a floating point dtype");
      }
    }
  }
  for (const Parameter& parameter : all) {
    parameter.set_requires_grad(flag);
  }
  return *this;
}

std::string Module::name() const { return class_name(typeid(*this)); }

void Module::throw_to_consistent() const {
  throw Error(name() + ": .to_consistent has been removed, please use .to_global instead");
}

std::shared_ptr<Module> Module::new_instance() const {
  throw Error(name() + ".clone: got a class without new_instance(), wanted one that overrides it");
}

}  // namespace halnorm::HALNORM_ABI::nn
