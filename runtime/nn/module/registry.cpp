#include <algorithm>
#include <array>
#include <string>

#include "halnorm/error.h"
#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

namespace {

template <class T>
void put(NamedEntries<Registry::Slot<T>>& list, Registry::Slot<T> slot) {
  auto* old = list.find(slot.name);
  if (old == nullptr) {
    list.add(std::move(slot));
    return;
  }
  old->persistent = slot.persistent;
  if (slot.member != nullptr) {
    old->member = slot.member;
    old->erased = false;
  } else {
    old->assign(std::move(slot.own));
  }
}

/// The members that every module has; they are not free for entries.
constexpr std::array<std::string_view, 50> member_functions = {
    "add_module",
    "apply",
    "apply_to_tensors",
    "backward",
    "buffers",
    "children",
    "clear_saved_forwards",
    "clone",
    "cpu",
    "cuda",
    "erase",
    "eval",
    "extra_repr",
    "format",
    "forward",
    "get",
    "get_buffer",
    "get_parameter",
    "get_submodule",
    "has",
    "is_training",
    "load",
    "load_state_dict",
    "member_names",
    "modules",
    "name",
    "named_buffers",
    "named_children",
    "named_members",
    "named_modules",
    "named_parameters",
    "parameters",
    "pending_backwards",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_module",
    "register_parameter",
    "requires_grad_",
    "save",
    "set_max_saved_forwards",
    "shallow_str",
    "state_dict",
    "str",
    "to",
    "to_consistent",
    "to_global",
    "to_local",
    "train",
    "zero_grad",
};

[[noreturn]] void throw_missing(const Module& module, const char* function, const char* kind,
                                std::string_view name) {
  throw ValueError(module.name() + "." + function + ": got '" + std::string(name) +
                   "', wanted the name of a " + kind + " of this module");
}

}  // namespace

std::vector<std::string_view> Module::attribute_names() const {
  std::vector<std::string_view> names(member_functions.begin(), member_functions.end());
  names.emplace_back("training");
  return names;
}

void ModuleImpl::check_name(const char* kind, const std::string& name, bool taken) const {
  const auto reserved = module.attribute_names();
  if (taken || std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
    throw ValueError(module.name() + ": attribute '" + name + "' already exists");
  }
  if (name.find('.') != std::string::npos) {
    throw ValueError(module.name() + ": " + kind + " name can't contain \".\", got: " + name);
  }
  if (name.empty()) {
    throw ValueError(module.name() + ": " + kind + " name can't be empty string \"\"");
  }
}

Parameter Module::register_parameter(const std::string& name, Parameter value) {
  impl_->check_name("parameter", name,
                    impl_->registry.taken_outside(impl_->registry.parameters, name));
  put<Parameter>(impl_->registry.parameters, {.name = name, .own = value});
  return value;
}

Tensor Module::register_buffer(const std::string& name, Tensor value, bool persistent) {
  impl_->check_name("buffer", name, impl_->registry.taken_outside(impl_->registry.buffers, name));
  put<Tensor>(impl_->registry.buffers, {.name = name, .own = value, .persistent = persistent});
  return value;
}

void Module::check_child(const std::string& name, const Module* child) const {
  impl_->check_name("module", name, impl_->registry.taken_outside(impl_->registry.children, name));
  const auto* old = impl_->registry.children.find(name);
  if (old != nullptr && old->member != nullptr && child != nullptr && child != old->member) {
    throw ValueError(this->name() + ": got another module for '" + name +
                     "', wanted the member of the class that has this name");
  }
  impl_->check_no_cycle(name, child);
}

void Module::add_module(const std::string& name, std::shared_ptr<Module> child) {
  check_child(name, child.get());
  impl_->put_child(name, std::move(child));
}

void ModuleImpl::put_child(const std::string& name, std::shared_ptr<Module> child, Module* member) {
  if (child != nullptr) {
    adopt(*child);
  }
  const bool defined = child != nullptr;
  if (auto* old = registry.children.find(name)) {
    ErasedModules::keep(old->module);
    registry.child_modules -= old->module != nullptr ? 1 : 0;
    old->module.swap(child);
    old->erased = false;
    old->member = member != nullptr ? member : old->member;
  } else {
    registry.children.add({.name = name, .module = std::move(child), .member = member});
  }
  registry.child_modules += defined ? 1 : 0;
}

void Module::bind_parameter(const std::string& name, Parameter& member) {
  impl_->check_name(
      "parameter", name,
      impl_->registry.has(name) || impl_->registry.taken_outside(impl_->registry.parameters, name));
  put<Parameter>(impl_->registry.parameters, {.name = name, .own = {}, .member = &member});
}

void Module::bind_buffer(const std::string& name, Tensor& member, bool persistent) {
  impl_->check_name(
      "buffer", name,
      impl_->registry.has(name) || impl_->registry.taken_outside(impl_->registry.buffers, name));
  put<Tensor>(impl_->registry.buffers,
              {.name = name, .own = {}, .member = &member, .persistent = persistent});
}

void Module::bind_module(const std::string& name, Module& member) {
  impl_->check_name(
      "module", name,
      impl_->registry.has(name) || impl_->registry.taken_outside(impl_->registry.children, name));
  impl_->check_no_cycle(name, &member);
  // Owns nothing: the member lives as long as the class it is part of.
  impl_->put_child(name, std::shared_ptr<Module>(std::shared_ptr<void>(), &member), &member);
}

void Module::unregister_parameter(std::string_view name) {
  if (!Registry::erase(impl_->registry.parameters, name)) {
    throw_missing(*this, "unregister_parameter", "parameter", name);
  }
}

void Module::unregister_buffer(std::string_view name) {
  if (!Registry::erase(impl_->registry.buffers, name)) {
    throw_missing(*this, "unregister_buffer", "buffer", name);
  }
}

void Module::unregister_module(std::string_view name) {
  auto* child = Registry::find(impl_->registry.children, name);
  if (child == nullptr) {
    throw_missing(*this, "unregister_module", "child module", name);
  }
  ErasedModules::keep(child->module);
  const std::shared_ptr<Module> released = std::move(child->module);
  impl_->registry.child_modules -= released != nullptr ? 1 : 0;
  if (child->member != nullptr) {
    child->erased = true;
  } else {
    impl_->registry.children.remove(name);
  }
}

}  // namespace halnorm::HALNORM_ABI::nn
