#include "halnorm/nn/module.h"

#include <cxxabi.h>

#include <cstdlib>
#include <string>
#include <typeinfo>

#include "halnorm/error.h"
#include "module_path.h"
#include "planned_write.h"

namespace halnorm::nn {

namespace {

template <class Hook>
HookHandle add_hook(std::shared_ptr<detail::HookList<Hook>>& list, Hook hook, bool prepend,
                    const std::string& function) {
  if (!hook) {
    throw ValueError(function + ": got an empty function, wanted one that can be called");
  }
  if (!list) {
    list = std::make_shared<detail::HookList<Hook>>();
  }
  const std::uint64_t id = list->add(std::move(hook), prepend);
  return {list, id};
}

/// The part of a qualified name after its last "::" outside of template arguments.
std::string unqualified(const std::string& name) {
  const std::size_t end = name.find('<') == std::string::npos ? name.size() : name.find('<');
  const std::size_t colons = name.rfind("::", end);
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

}  // namespace

Tensor Module::operator()(const Tensor& x) { return call(x, Tensor()); }

Tensor Module::call(const Tensor& x, const Tensor& out) {
  return call(x, [&](const Tensor& input) { return forward_into(input, out); });
}

Tensor Module::call(const Tensor& x, const std::function<Tensor(const Tensor& x)>& compute) {
  CallFrame frame(*this);
  try {
    if (!pre_hooks_ && !hooks_) {
      return compute(x);
    }
    const auto before = pre_hooks_ ? pre_hooks_->entries() : nullptr;
    Tensor input = x;
    if (before) {
      for (const auto& [id, hook] : *before) {
        if (Tensor replaced = hook(*this, input); replaced.defined()) {
          input = std::move(replaced);
        }
      }
    }
    const auto after = hooks_ ? hooks_->entries() : nullptr;
    Tensor output = compute(input);
    if (after) {
      for (const auto& [id, hook] : *after) {
        if (Tensor replaced = hook(*this, input, output); replaced.defined()) {
          output = std::move(replaced);
        }
      }
    }
    return output;
  } catch (const Error&) {
    frame.rethrow();
  }
}

Tensor Module::forward_into(const Tensor& x, const Tensor& /*out*/) { return forward(x); }

Tensor Module::forward(const Tensor& /*x*/) {
  throw Error(name() + ": got a call of forward, which this class does not implement");
}

Tensor Module::backward(const Tensor& /*grad_output*/) {
  throw Error(name() + ": got a call of backward, which this class does not implement");
}

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook, bool prepend) {
  return add_hook(pre_hooks_, std::move(hook), prepend, "register_forward_pre_hook");
}

HookHandle Module::register_forward_hook(ForwardHook hook, bool prepend) {
  return add_hook(hooks_, std::move(hook), prepend, "register_forward_hook");
}

HookHandle Module::register_load_state_dict_pre_hook(LoadStateDictPreHook hook, bool prepend) {
  return add_hook(load_hooks_, std::move(hook), prepend, "register_load_state_dict_pre_hook");
}

Module& Module::train(bool mode) {
  for (Module* module : modules()) {
    module->training_ = mode;
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
  const auto all = named_parameters();
  for (const auto& [name, parameter] : all) {
    if (flag && !is_floating(parameter.data().dtype())) {
      throw DTypeError(this->name() + ".requires_grad_: got parameter '" + name + "' of dtype " +
                       std::string(name_of(parameter.data().dtype())) +
                       ", wanted a floating point dtype");
    }
  }
  for (const auto& [name, parameter] : all) {
    parameter.set_requires_grad(flag);
  }
  return *this;
}

std::string Module::name() const {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(
      abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status), std::free);
  return status == 0 ? unqualified(demangled.get()) : "Module";
}

std::shared_ptr<Module> Module::new_instance() const {
  throw Error(name() + ".clone: got a class without new_instance(), wanted one that overrides it");
}

}  // namespace halnorm::nn
