#include <algorithm>
#include <string>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"

namespace halnorm::nn {

namespace {

template <class T>
std::vector<T> values_of(const NamedList<T>& named) {
  std::vector<T> values;
  values.reserve(named.size());
  for (const auto& [name, value] : named) {
    values.push_back(value);
  }
  return values;
}

template <class T>
NamedList<T> listed(const std::vector<Registry::Slot<T>>& slots) {
  NamedList<T> result;
  for (const auto& slot : slots) {
    result.emplace_back(slot.name, slot.value());
  }
  return result;
}

/// M is Module or const Module.
template <class M>
void collect(M& module, const std::string& path, std::unordered_set<const Module*>& memo,
             NamedList<M*>& found) {
  if (!memo.insert(&module).second) {
    return;
  }
  found.emplace_back(path, &module);
  for (const auto& [name, child] : module.named_children()) {
    collect<M>(*child, path.empty() ? name : path + "." + name, memo, found);
  }
}

}  // namespace

NamedList<std::shared_ptr<Module>> Module::registered_modules() const {
  NamedList<std::shared_ptr<Module>> found;
  for (const Registry::Child& child : registry_.children) {
    if (child.module != nullptr) {
      found.emplace_back(child.name, child.module);
    }
  }
  return found;
}

NamedList<Module*> Module::named_children() const {
  NamedList<Module*> found;
  for (const Registry::Child& child : registry_.children) {
    const auto seen = [&child](const auto& entry) { return entry.second == child.module.get(); };
    if (child.module != nullptr && std::none_of(found.begin(), found.end(), seen)) {
      found.emplace_back(child.name, child.module.get());
    }
  }
  return found;
}

std::vector<Module*> Module::children() const { return values_of(named_children()); }

NamedList<Module*> Module::named_modules(std::unordered_set<const Module*>& memo,
                                         const std::string& prefix) {
  NamedList<Module*> found;
  collect(*this, prefix, memo, found);
  return found;
}

NamedList<Module*> Module::named_modules(const std::string& prefix) {
  std::unordered_set<const Module*> memo;
  return named_modules(memo, prefix);
}

NamedList<const Module*> Module::named_modules(const std::string& prefix) const {
  std::unordered_set<const Module*> memo;
  NamedList<const Module*> found;
  collect(*this, prefix, memo, found);
  return found;
}

std::vector<Module*> Module::modules() { return values_of(named_modules()); }

NamedList<Parameter> Module::named_parameters(const std::string& prefix, bool recurse) const {
  return named_members([](const Module& module) { return listed(module.registry_.parameters); },
                       prefix, recurse);
}

std::vector<Parameter> Module::parameters(bool recurse) const {
  return values_of(named_parameters("", recurse));
}

NamedList<Tensor> Module::named_buffers(const std::string& prefix, bool recurse) const {
  return named_members([](const Module& module) { return listed(module.registry_.buffers); },
                       prefix, recurse);
}

std::vector<Tensor> Module::buffers(bool recurse) const {
  return values_of(named_buffers("", recurse));
}

Module& Module::apply(const std::function<void(Module&)>& fn) {
  if (!fn) {
    throw ValueError(name() + ".apply: got an empty function, wanted one that can be called");
  }
  for (Module* child : children()) {
    child->apply(fn);
  }
  fn(*this);
  return *this;
}

std::int64_t Module::parameter_bytes() const {
  std::int64_t bytes = 0;
  for (const Parameter& parameter : parameters()) {
    const Tensor data = parameter.data();
    bytes += data.numel() * static_cast<std::int64_t>(size_of(data.dtype()));
  }
  return bytes;
}

}  // namespace halnorm::nn
