#include <algorithm>
#include <string>

#include "halnorm/error.h"
#include "nn/module/impl.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

namespace {

[[noreturn]] void throw_no_attribute(const Module& module, std::string_view name) {
  throw ValueError("'" + module.name() + "' object has no attribute '" + std::string(name) + "'");
}

[[noreturn]] void throw_kind(const Module& module, const char* value, const char* place,
                             const std::string& name, const char* wanted) {
  throw ValueError(module.name() + ": cannot assign '" + value + "' as " + place + " '" + name +
                   "' (" + wanted + " expected)");
}

struct SplitPath {
  std::string_view parent, leaf;
};

SplitPath split(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? SplitPath{{}, path}
                                       : SplitPath{path.substr(0, dot), path.substr(dot + 1)};
}

}  // namespace

bool Module::has(std::string_view name) const noexcept { return impl_->registry.has(name); }

Module::Attribute Module::get(std::string_view name) const {
  if (const auto* parameter = Registry::find(impl_->registry.parameters, name)) {
    return parameter->value();
  }
  if (const auto* buffer = Registry::find(impl_->registry.buffers, name)) {
    return buffer->value();
  }
  if (const auto* child = Registry::find(impl_->registry.children, name)) {
    return child->module.get();
  }
  throw_no_attribute(*this, name);
}

Module& Module::get_submodule(std::string_view path) const {
  // As for a child, "const" says nothing about the module that is found.
  auto* found = const_cast<Module*>(this);
  for (std::size_t begin = 0; !path.empty() && begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    const auto* child = Registry::find(found->impl_->registry.children, name);
    if (child == nullptr || child->module == nullptr) {
      throw_no_attribute(*found, name);
    }
    found = child->module.get();
    begin = end + 1;
  }
  return *found;
}

std::shared_ptr<Module> Module::registered_module(std::string_view name) const {
  const auto* child = Registry::find(impl_->registry.children, name);
  return child != nullptr ? child->module : nullptr;
}

std::size_t Module::registered_module_count() const noexcept {
  return impl_->registry.child_modules;
}

std::shared_ptr<Module> Module::registered_module(std::size_t index) const {
  if (impl_->registry.child_modules == impl_->registry.children.size()) {
    return impl_->registry.children[index].module;
  }
  return registered_modules()[index].second;
}

Parameter Module::get_parameter(std::string_view path) const {
  const auto [parent, leaf] = split(path);
  const Module& owner = parent.empty() ? *this : get_submodule(parent);
  if (const auto* entry = Registry::find(owner.impl_->registry.parameters, leaf)) {
    return entry->value();
  }
  throw_no_attribute(owner, leaf);
}

Tensor Module::get_buffer(std::string_view path) const {
  const auto [parent, leaf] = split(path);
  const Module& owner = parent.empty() ? *this : get_submodule(parent);
  if (const auto* entry = Registry::find(owner.impl_->registry.buffers, leaf)) {
    return entry->value();
  }
  throw_no_attribute(owner, leaf);
}

void ModuleImpl::check_unbound(const char* value, const std::string& name) const {
  const auto is_bound = [&name](const auto& entries) {
    const auto* entry = entries.find(name);
    return entry != nullptr && entry->member != nullptr;
  };
  if (is_bound(registry.buffers)) {
    throw_kind(module, value, "buffer", name, "Tensor or None");
  }
  if (is_bound(registry.children)) {
    throw_kind(module, value, "child module", name, "that member or None");
  }
}

void Module::set(const std::string& name, Parameter value) {
  if (!value.defined() && impl_->registry.has(name)) {
    set(name, Tensor());
    return;
  }
  if (impl_->registry.parameters.find(name) == nullptr) {
    impl_->check_unbound("Parameter", name);
    if (!erase(name)) {
      impl_->check_name("parameter", name, false);
    }
  }
  register_parameter(name, std::move(value));
}

void Module::set(const std::string& name, Tensor value) {
  if (auto* parameter = impl_->registry.parameters.find(name)) {
    if (value.defined()) {
      throw_kind(*this, "Tensor", "parameter", name, "Parameter or None");
    }
    parameter->assign(Parameter());
  } else if (impl_->registry.children.find(name) != nullptr) {
    if (value.defined()) {
      throw_kind(*this, "Tensor", "child module", name, "Module or None");
    }
    impl_->put_child(name, nullptr);
  } else if (auto* buffer = impl_->registry.buffers.find(name)) {
    buffer->assign(std::move(value));
  } else {
    throw_no_attribute(*this, name);
  }
}

void Module::set(const std::string& name, std::shared_ptr<Module> value) {
  if (value == nullptr && impl_->registry.has(name)) {
    set(name, Tensor());
    return;
  }
  if (impl_->registry.parameters.find(name) != nullptr) {
    throw_kind(*this, "Module", "parameter", name, "Parameter or None");
  }
  if (impl_->registry.buffers.find(name) != nullptr) {
    impl_->check_unbound("Module", name);
    impl_->check_no_cycle(name, value.get());
    erase(name);
  }
  add_module(name, std::move(value));
}

bool Module::erase(std::string_view name) {
  if (Registry::erase(impl_->registry.parameters, name) ||
      Registry::erase(impl_->registry.buffers, name)) {
    return true;
  }
  if (Registry::find(impl_->registry.children, name) == nullptr) {
    return false;
  }
  unregister_module(name);
  return true;
}

std::vector<std::string> Module::member_names() const {
  std::vector<std::string> names;
  for (const std::string_view name : attribute_names()) {
    names.emplace_back(name);
  }
  const auto add = [&names](const auto& entries) {
    for (const auto& entry : entries) {
      if (entry.listed()) {
        names.push_back(entry.name);
      }
    }
  };
  add(impl_->registry.parameters);
  add(impl_->registry.buffers);
  add(impl_->registry.children);
  return names;
}

}  // namespace halnorm::HALNORM_ABI::nn
