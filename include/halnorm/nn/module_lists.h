#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/version.h"

/// @file
/// The lists that Module returns.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

class Module;

/// Values with their names, in order.
template <class T>
using NamedList = std::vector<std::pair<std::string, T>>;

/// A list of modules that keeps them alive, so that modules may be erased or replaced during a loop
/// over the list. It does not own the module that made the list, nor modules that are members of a
/// class. A std::vector made from it keeps no module alive.
template <class Entry>
class ModuleSnapshot : public std::vector<Entry> {
 public:
  /// Adds an entry and a pointer that keeps its module alive.
  void add(Entry entry, std::shared_ptr<const Module> owner) {
    this->push_back(std::move(entry));
    owners_.push_back(std::move(owner));
  }

 private:
  std::vector<std::shared_ptr<const Module>> owners_;
};

/// Modules with their names.
template <class M>
using NamedModules = ModuleSnapshot<std::pair<std::string, M*>>;

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
