#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "halnorm/tensor.h"

namespace halnorm::nn {

class Module;

template <class T>
using NamedList = std::vector<std::pair<std::string, T>>;

/// What a module has registered, each kind in the order of registration.
struct Registry {
  /// A named value that lives here, or in a member of the module's class.
  template <class T>
  struct Slot {
    std::string name;
    T own;
    T* member = nullptr;
    bool persistent = true;  ///< buffers: part of the state dictionary

    [[nodiscard]] const T& value() const noexcept { return member != nullptr ? *member : own; }
    void assign(T value) noexcept { (member != nullptr ? *member : own) = std::move(value); }
  };

  /// A child; null for "None".
  struct Child {
    std::string name;
    std::shared_ptr<Module> module;
    bool is_member = false;  ///< lives in a member of the parent's class, which owns it
  };

  std::vector<Slot<Parameter>> parameters;
  std::vector<Slot<Tensor>> buffers;
  std::vector<Child> children;

  /// The entry of a name in one of the lists, or null.
  template <class List>
  static auto find(List& list, std::string_view name) noexcept -> decltype(list.data()) {
    for (auto& entry : list) {
      if (entry.name == name) {
        return &entry;
      }
    }
    return nullptr;
  }

  /// Takes an entry out, and empties the member that it stood for. False if there is none.
  template <class T>
  static bool erase(std::vector<Slot<T>>& list, std::string_view name) {
    for (auto entry = list.begin(); entry != list.end(); ++entry) {
      if (entry->name == name) {
        entry->assign(T());
        list.erase(entry);
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] bool has(std::string_view name) const noexcept {
    return find(parameters, name) != nullptr || find(buffers, name) != nullptr ||
           find(children, name) != nullptr;
  }
};

}  // namespace halnorm::nn
