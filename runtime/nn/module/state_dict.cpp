#include <algorithm>
#include <istream>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_set>

#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"
#include "nn/module/tree.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

/// "a.b." is the prefix of the module at "a.b".
std::string path_of(const std::string& prefix) {
  return prefix.ends_with('.') ? prefix.substr(0, prefix.size() - 1) : prefix;
}

/// Another handle on the same elements.
Tensor detached(const Tensor& tensor) { return tensor.reshape(tensor.shape()); }

/// The dictionary's keys under `prefix` that are neither names of `own` nor a child's.
template <class IsChild>
std::vector<std::string> unexpected_keys(const StateDict& dict, const std::string& prefix,
                                         const NamedList<Tensor>& own, const IsChild& is_child) {
  std::unordered_set<std::string_view> own_names;
  for (const auto& [name, target] : own) {
    own_names.insert(name);
  }
  std::vector<std::string> unexpected;
  const std::string* key = dict.first_name_from(prefix);
  while (key != nullptr && key->starts_with(prefix)) {
    const std::string_view rest = std::string_view(*key).substr(prefix.size());
    const std::size_t dot = rest.find('.');
    if (dot != std::string_view::npos && is_child(rest.substr(0, dot))) {
      // Past all of the child's: the character after '.' is '/'.
      key = dict.first_name_from(key->substr(0, prefix.size() + dot) + "/");
      continue;
    }
    if (!own_names.contains(rest)) {
      unexpected.push_back(*key);
    }
    key = dict.first_name_from(*key + '\0');
  }
  std::ranges::sort(unexpected, {}, [&dict](const auto& name) { return dict.find(name); });
  return unexpected;
}

}  // namespace

StateDict Module::state_dict(const std::string& prefix, bool keep_vars) const {
  StateDict dict;
  state_dict(dict, prefix, keep_vars);
  return dict;
}

void Module::state_dict(StateDict& destination, const std::string& prefix, bool keep_vars) const {
  struct Saver : ModuleTree::Visitor {
    Saver(StateDict& dict, bool keep) : destination(dict), keep_vars(keep) {}

    StateDict& destination;
    bool keep_vars;

    bool enter(const ModuleTree::Place<const Module>& place) {
      if (place.module.version() > 1) {
        destination.set_version(path_of(place.prefix), place.module.version());
      }
      place.module.save_to_state_dict(destination, place.prefix, keep_vars);
      return true;
    }
  };
  ModuleTree::walk(*this, prefix, Saver(destination, keep_vars));
}

void Module::save_to_state_dict(StateDict& destination, const std::string& prefix,
                                bool keep_vars) const {
  const auto save_tensor = [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) {
      destination.set(prefix + name, keep_vars ? tensor : detached(tensor));
    }
  };
  for (const auto& slot : impl_->registry.parameters) {
    save_tensor(slot.name, slot.value().data());
  }
  for (const auto& slot : impl_->registry.buffers) {
    if (slot.persistent) {
      save_tensor(slot.name, slot.value());
    }
  }
}

LoadResult Module::load_state_dict(const StateDict& dict, bool strict) {
  return load_state_dict(dict, LoadStateOptions{.strict = strict});
}

LoadResult Module::load_state_dict(const StateDict& dict, const LoadStateOptions& options) {
  struct Loader : ModuleTree::Visitor {
    explicit Loader(LoadState& state) : load(state) {}

    LoadState& load;

    bool enter(const ModuleTree::Place<Module>& place) {
      Module& module = place.module;
      if (const auto& list = detail::ModuleImpl::of(module).load_hooks) {
        const auto hooks = list->entries();
        for (const auto& [id, hook] : *hooks) {
          hook(module, load.dict, place.prefix);
        }
      }
      module.load_from_state_dict(load, place.prefix);
      return true;
    }
  };
  const ErasedModules erased;
  LoadState load(dict, options.strict);
  ModuleTree::walk(*this, options.prefix, Loader(load));
  load.commit(name());
  return std::move(load.result);  // a copy may need memory, and all is loaded already
}

void Module::load_from_state_dict(LoadState& load, const std::string& prefix) {
  NamedList<Tensor> own;
  for (const auto& slot : impl_->registry.parameters) {
    own.emplace_back(slot.name, slot.value().data());
  }
  for (const auto& slot : impl_->registry.buffers) {
    own.emplace_back(slot.name, slot.persistent ? slot.value() : Tensor());
  }
  std::erase_if(own, [](const auto& entry) { return !entry.second.defined(); });
  for (const auto& [name, target] : own) {
    if (load.dict.contains(prefix + name)) {
      load.plan_copy(prefix + name, target);
    } else {
      load.result.missing_keys.push_back(prefix + name);
    }
  }
  const auto is_child = [this](std::string_view name) {
    const auto* child = Registry::find(impl_->registry.children, name);
    return child != nullptr && child->module != nullptr;
  };
  std::ranges::move(unexpected_keys(load.dict, prefix, own, is_child),
                    std::back_inserter(load.result.unexpected_keys));
}

void Module::save(std::ostream& stream) const { halnorm::save(state_dict(), stream); }

}  // namespace halnorm::HALNORM_ABI::nn
