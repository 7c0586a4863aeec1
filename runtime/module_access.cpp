#include <string>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"

namespace halnorm::nn {

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

bool Module::has(std::string_view name) const noexcept { return registry_.has(name); }

Module::Attribute Module::get(std::string_view name) const {
  if (const auto* parameter = Registry::find(registry_.parameters, name)) {
    return parameter->value();
  }
  if (const auto* buffer = Registry::find(registry_.buffers, name)) {
    return buffer->value();
  }
  if (const auto* child = Registry::find(registry_.children, name)) {
    return child->module.get();
  }
  throw_no_attribute(*this, name);
}

Module& Module::get_submodule(std::string_view path) const {
  const auto dot = path.find('.');
  const std::string_view first = path.substr(0, dot);
  const auto* child = Registry::find(registry_.children, first);
  if (child == nullptr || child->module == nullptr) {
    throw_no_attribute(*this, first);
  }
  return dot == std::string_view::npos ? *child->module
                                       : child->module->get_submodule(path.substr(dot + 1));
}

Parameter Module::get_parameter(std::string_view path) const {
  const auto [parent, leaf] = split(path);
  const Module& owner = parent.empty() ? *this : get_submodule(parent);
  if (const auto* entry = Registry::find(owner.registry_.parameters, leaf)) {
    return entry->value();
  }
  throw_no_attribute(owner, leaf);
}

Tensor Module::get_buffer(std::string_view path) const {
  const auto [parent, leaf] = split(path);
  const Module& owner = parent.empty() ? *this : get_submodule(parent);
  if (const auto* entry = Registry::find(owner.registry_.buffers, leaf)) {
    return entry->value();
  }
  throw_no_attribute(owner, leaf);
}

void Module::set(const std::string& name, Parameter value) {
  const bool known = registry_.has(name);
  if (!known || value.defined()) {
    if (!known) {
      check_name("parameter", name, false);
    }
    if (Registry::find(registry_.parameters, name) == nullptr) {
      erase(name);
    }
    register_parameter(name, std::move(value));
    return;
  }
  set(name, Tensor());
}

void Module::set(const std::string& name, Tensor value) {
  if (auto* parameter = Registry::find(registry_.parameters, name)) {
    if (value.defined()) {
      throw_kind(*this, "Tensor", "parameter", name, "Parameter or None");
    }
    parameter->assign(Parameter());
  } else if (auto* child = Registry::find(registry_.children, name)) {
    if (value.defined()) {
      throw_kind(*this, "Tensor", "child module", name, "Module or None");
    }
    *child = {.name = name, .module = nullptr};
  } else if (auto* buffer = Registry::find(registry_.buffers, name)) {
    buffer->assign(std::move(value));
  } else {
    throw_no_attribute(*this, name);
  }
}

void Module::set(const std::string& name, std::shared_ptr<Module> value) {
  if (value == nullptr && registry_.has(name)) {
    set(name, Tensor());
    return;
  }
  if (Registry::find(registry_.parameters, name) != nullptr) {
    throw_kind(*this, "Module", "parameter", name, "Parameter or None");
  }
  if (Registry::find(registry_.buffers, name) != nullptr) {
    check_no_cycle(name, value.get());
    erase(name);
  }
  add_module(name, std::move(value));
}

bool Module::erase(std::string_view name) {
  if (Registry::erase(registry_.parameters, name) || Registry::erase(registry_.buffers, name)) {
    return true;
  }
  if (Registry::find(registry_.children, name) == nullptr) {
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
      names.push_back(entry.name);
    }
  };
  add(registry_.parameters);
  add(registry_.buffers);
  add(registry_.children);
  return names;
}

}  // namespace halnorm::nn
