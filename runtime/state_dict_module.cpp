#include <istream>
#include <ostream>
#include <string>

#include "halnorm/nn/module.h"

namespace halnorm::nn {

namespace {

/// "a.b." is the prefix of the module at "a.b".
std::string path_of(const std::string& prefix) {
  return prefix.ends_with('.') ? prefix.substr(0, prefix.size() - 1) : prefix;
}

/// Another handle on the same elements.
Tensor detached(const Tensor& tensor) { return tensor.reshape(tensor.shape()); }

}  // namespace

StateDict Module::state_dict(const std::string& prefix, bool keep_vars) const {
  StateDict dict;
  state_dict(dict, prefix, keep_vars);
  return dict;
}

void Module::state_dict(StateDict& destination, const std::string& prefix, bool keep_vars) const {
  if (version() > 1) {
    destination.set_version(path_of(prefix), version());
  }
  save_to_state_dict(destination, prefix, keep_vars);
  for (const Registry::Child& child : registry_.children) {
    if (child.module != nullptr) {
      child.module->state_dict(destination, prefix + child.name + ".", keep_vars);
    }
  }
}

void Module::save_to_state_dict(StateDict& destination, const std::string& prefix,
                                bool keep_vars) const {
  const auto save_tensor = [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) {
      destination.set(prefix + name, keep_vars ? tensor : detached(tensor));
    }
  };
  for (const auto& slot : registry_.parameters) {
    save_tensor(slot.name, slot.value().data());
  }
  for (const auto& slot : registry_.buffers) {
    if (slot.persistent) {
      save_tensor(slot.name, slot.value());
    }
  }
}

LoadResult Module::load_state_dict(const StateDict& dict, bool strict) {
  LoadState load(dict, strict);
  load_tree(load, "");
  load.commit(name());
  return std::move(load.result);  // a copy may need memory, and all is loaded already
}

void Module::load_tree(LoadState& load, const std::string& prefix) {
  const auto hooks = load_hooks_ ? load_hooks_->entries() : nullptr;
  if (hooks) {
    for (const auto& [id, hook] : *hooks) {
      hook(*this, load.dict, prefix);
    }
  }
  load_from_state_dict(load, prefix);
  for (const Registry::Child& child : registry_.children) {
    if (child.module != nullptr) {
      child.module->load_tree(load, prefix + child.name + ".");
    }
  }
}

void Module::load_from_state_dict(LoadState& load, const std::string& prefix) {
  NamedList<Tensor> own;
  for (const auto& slot : registry_.parameters) {
    own.emplace_back(slot.name, slot.value().data());
  }
  for (const auto& slot : registry_.buffers) {
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
  for (const auto& [key, tensor] : load.dict) {
    if (!key.starts_with(prefix)) {
      continue;
    }
    const std::string rest = key.substr(prefix.size());
    const std::size_t dot = rest.find('.');
    const auto* child = Registry::find(registry_.children, rest.substr(0, dot));
    const bool belongs_to_child =
        dot != std::string::npos && child != nullptr && child->module != nullptr;
    const bool is_own =
        std::any_of(own.begin(), own.end(), [&](const auto& entry) { return entry.first == rest; });
    if (!belongs_to_child && !is_own) {
      load.result.unexpected_keys.push_back(key);
    }
  }
}

void Module::save(std::ostream& stream) const { halnorm::save(state_dict(), stream); }

void Module::load(std::istream& stream) { load_state_dict(halnorm::load(stream)); }

}  // namespace halnorm::nn
