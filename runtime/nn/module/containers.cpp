#include "halnorm/nn/containers.h"

#include <ranges>
#include <string>

#include "halnorm/error.h"
#include "nn/module/call_frame.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

void check_not_null(const Module& container, const Module* module) {
  if (module == nullptr) {
    throw ValueError(container.name() + ": got a null module, wanted a module");
  }
}

}  // namespace

std::vector<std::shared_ptr<Module>> ModuleList::entries() const {
  std::vector<std::shared_ptr<Module>> modules;
  modules.reserve(size());
  for (auto& [name, module] : registered_modules()) {
    modules.push_back(std::move(module));
  }
  return modules;
}

std::shared_ptr<Module> ModuleList::at(std::int64_t index) const {
  const auto count = static_cast<std::int64_t>(size());
  if (index < -count || index >= count) {
    throw ValueError(name() + ": got index " + std::to_string(index) + ", wanted one in [" +
                     std::to_string(-count) + ", " + std::to_string(count) + ")");
  }
  return registered_module(static_cast<std::size_t>(index < 0 ? index + count : index));
}

void ModuleList::append(std::shared_ptr<Module> module) { extend({std::move(module)}); }

void ModuleList::extend(const std::vector<std::shared_ptr<Module>>& modules) {
  const std::size_t first = size();
  const auto name_at = [first](std::size_t i) { return std::to_string(first + i); };
  for (std::size_t i = 0; i < modules.size(); ++i) {
    check_not_null(*this, modules[i].get());
    check_new_name(name_at(i));
    check_child(name_at(i), modules[i].get());
  }
  for (std::size_t i = 0; i < modules.size(); ++i) {
    add_module(name_at(i), modules[i]);
  }
}

/// A list whose modules were given names may have this one among them.
void ModuleList::check_new_name(const std::string& name) const {
  if (has(name)) {
    throw ValueError(this->name() + ": got one more module for place " + name +
                     ", wanted no module to have that name already");
  }
}

void ModuleList::insert(std::int64_t index, std::shared_ptr<Module> module) {
  check_not_null(*this, module.get());
  const auto count = static_cast<std::int64_t>(size());
  if (index < -count || index > count) {
    throw ValueError(name() + ".insert: got index " + std::to_string(index) + ", wanted one in [" +
                     std::to_string(-count) + ", " + std::to_string(count) + "]");
  }
  auto modules = entries();
  const auto place = static_cast<std::ptrdiff_t>(index < 0 ? index + count : index);
  modules.insert(modules.begin() + place, module);
  append(std::move(module));  // all that may throw; what follows hands known modules around
  const auto places = registered_modules();
  for (std::size_t i = 0; i < modules.size(); ++i) {
    add_module(places[i].first, modules[i]);
  }
}

Sequential::Sequential(
    const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& modules) {
  for (const auto& [name, module] : modules) {
    check_not_null(*this, module.get());
    add_module(name, module);
  }
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor value = x;
  for (const auto& module : entries()) {
    value = (*module)(value);
  }
  return value;
}

Tensor Sequential::backward(const Tensor& grad_output) {
  CallFrame frame(*this);
  try {
    const auto modules = entries();
    Tensor gradient = grad_output;
    for (const auto& module : std::views::reverse(modules)) {
      gradient = module->backward(gradient);
    }
    return gradient;
  } catch (const Error&) {
    frame.rethrow();
  }
}

void ModuleDict::insert(const std::string& key, std::shared_ptr<Module> module) {
  check_not_null(*this, module.get());
  add_module(key, std::move(module));
}

void ModuleDict::update(const std::vector<Entry>& modules) {
  for (const auto& [key, module] : modules) {
    check_not_null(*this, module.get());
    check_child(key, module.get());
  }
  for (const auto& [key, module] : modules) {
    add_module(key, module);
  }
}

std::shared_ptr<Module> ModuleDict::pop(std::string_view key) {
  auto module = at(key);
  unregister_module(key);
  return module;
}

void ModuleDict::clear() {
  for (const std::string& key : std::views::reverse(keys())) {
    unregister_module(key);
  }
}

std::vector<ModuleDict::Entry> ModuleDict::entries() const { return registered_modules(); }

std::shared_ptr<Module> ModuleDict::at(std::string_view key) const {
  if (const auto module = registered_module(key)) {
    return module;
  }
  throw ValueError(name() + ": got key '" + std::string(key) + "', wanted one of its " +
                   std::to_string(size()) + " keys");
}

std::vector<std::string> ModuleDict::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, module] : entries()) {
    keys.push_back(key);
  }
  return keys;
}

}  // namespace halnorm::HALNORM_ABI::nn
