#include <string>
#include <unordered_set>

#include "halnorm/error.h"
#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"
#include "nn/module/tree.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

template <class T>
NamedList<T> listed(const NamedEntries<Registry::Slot<T>>& slots) {
  NamedList<T> result;
  for (const auto& slot : slots) {
    result.emplace_back(slot.name, slot.value());
  }
  return result;
}

const Registry& registry_of(const Module& module) {
  return detail::ModuleImpl::of(module).registry;
}

/// The defined values of a module, each once. Leaves the paths out, which together are as long as
/// the square of a tree's depth.
template <class T>
class Values {
 public:
  void add(const NamedEntries<Registry::Slot<T>>& slots) {
    for (const auto& slot : slots) {
      if (slot.value().defined() && seen_.insert(slot.value().identity()).second) {
        found_.push_back(slot.value());
      }
    }
  }
  std::vector<T> take() { return std::move(found_); }

 private:
  std::unordered_set<const void*> seen_;
  std::vector<T> found_;
};

std::string path_of(const std::string& prefix) {
  return prefix.empty() ? prefix : prefix.substr(0, prefix.size() - 1);
}

std::string prefix_of(const std::string& path) { return path.empty() ? path : path + "."; }

/// Lists each module once.
struct Collector : ModuleTree::Visitor {
  std::unordered_set<const Module*> seen;
  ModuleSnapshot<Module*> found;

  bool enter(const ModuleTree::Place<Module>& place) {
    if (!seen.insert(&place.module).second) {
      return false;
    }
    found.add(&place.module, place.owner);
    return true;
  }
};

/// The same under its first path. M is Module or const Module.
template <class M>
struct NamedCollector : ModuleTree::Visitor {
  explicit NamedCollector(std::unordered_set<const Module*>& memo) : seen(memo) {}

  std::unordered_set<const Module*>& seen;
  NamedModules<M> found;

  bool enter(const ModuleTree::Place<M>& place) {
    if (!seen.insert(&place.module).second) {
      return false;
    }
    found.add({path_of(place.prefix), &place.module}, place.owner);
    return true;
  }
};

template <class M>
NamedModules<M> collect(M& root, const std::string& path, std::unordered_set<const Module*>& memo) {
  NamedCollector<M> collector(memo);
  ModuleTree::walk(root, prefix_of(path), collector);
  return std::move(collector.found);
}

/// Calls a function for each module once.
class EachOnce : public ModuleTree::Visitor {
 public:
  using Visit = std::function<void(const std::string& prefix, const Module&)>;
  explicit EachOnce(const Visit& visit) : visit_(visit) {}

  bool enter(const ModuleTree::Place<const Module>& place) {
    if (!seen_.insert(&place.module).second) {
      return false;
    }
    visit_(place.prefix, place.module);
    return true;
  }

 private:
  const Visit& visit_;
  std::unordered_set<const Module*> seen_;
};

/// The children, each once.
ModuleTree::Children distinct_children(const Module& module) {
  ModuleTree::Children children = ModuleTree::children_of(module);
  std::unordered_set<const Module*> seen = {nullptr};
  std::erase_if(children,
                [&seen](const auto& child) { return !seen.insert(child.second.get()).second; });
  return children;
}

/// Calls a function for each place of each module, children first.
class ChildrenFirst : public ModuleTree::Visitor {
 public:
  explicit ChildrenFirst(const std::function<void(Module&)>& fn) : fn_(fn) {}

  void leave(Module& module, const std::string& /*prefix*/) { fn_(module); }
  static ModuleTree::Children children(const Module& module) { return distinct_children(module); }

 private:
  const std::function<void(Module&)>& fn_;
};

}  // namespace

NamedList<std::shared_ptr<Module>> Module::registered_modules() const {
  ModuleTree::Children children = ModuleTree::children_of(*this);
  std::erase_if(children, [](const auto& child) { return child.second == nullptr; });
  return children;
}

NamedModules<Module> Module::named_children() const {
  NamedModules<Module> found;
  for (const auto& [name, child] : distinct_children(*this)) {
    found.add({name, child.get()}, child);
  }
  return found;
}

ModuleSnapshot<Module*> Module::children() const {
  ModuleSnapshot<Module*> found;
  for (const auto& [name, child] : distinct_children(*this)) {
    found.add(child.get(), child);
  }
  return found;
}

NamedModules<Module> Module::named_modules(std::unordered_set<const Module*>& memo,
                                           const std::string& prefix) {
  return collect(*this, prefix, memo);
}

NamedModules<Module> Module::named_modules(const std::string& prefix) {
  std::unordered_set<const Module*> memo;
  return collect(*this, prefix, memo);
}

NamedModules<const Module> Module::named_modules(const std::string& prefix) const {
  std::unordered_set<const Module*> memo;
  return collect(*this, prefix, memo);
}

ModuleSnapshot<Module*> Module::modules() {
  Collector collector;
  ModuleTree::walk(*this, "", collector);
  return std::move(collector.found);
}

void Module::visit_modules(
    const std::string& path, bool recurse,
    const std::function<void(const std::string&, const Module&)>& visit) const {
  if (recurse) {
    ModuleTree::walk(*this, prefix_of(path), EachOnce(visit));
  } else {
    visit(prefix_of(path), *this);
  }
}

NamedList<Parameter> Module::named_parameters(const std::string& prefix, bool recurse) const {
  return named_members([](const Module& module) { return listed(registry_of(module).parameters); },
                       prefix, recurse);
}

std::vector<Parameter> Module::parameters(bool recurse) const {
  Values<Parameter> values;
  visit_modules("", recurse, [&values](const std::string& /*prefix*/, const Module& module) {
    values.add(registry_of(module).parameters);
  });
  return values.take();
}

NamedList<Tensor> Module::named_buffers(const std::string& prefix, bool recurse) const {
  return named_members([](const Module& module) { return listed(registry_of(module).buffers); },
                       prefix, recurse);
}

std::vector<Tensor> Module::buffers(bool recurse) const {
  Values<Tensor> values;
  visit_modules("", recurse, [&values](const std::string& /*prefix*/, const Module& module) {
    values.add(registry_of(module).buffers);
  });
  return values.take();
}

Module& Module::apply(const std::function<void(Module&)>& fn) {
  if (!fn) {
    throw ValueError(name() + ".apply: got an empty function, wanted one that can be called");
  }
  const ErasedModules erased;
  ModuleTree::walk(*this, "", ChildrenFirst(fn));
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

}  // namespace halnorm::HALNORM_ABI::nn
