#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "halnorm/nn/module.h"  // NOLINT(misc-header-include-cycle): it includes this last

/// @file
/// Templates of Module, and its hash: a part of halnorm/nn/module.h.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

template <class M>
std::shared_ptr<M> Module::register_module(const std::string& name, std::shared_ptr<M> child) {
  add_module(name, child);
  return child;
}

template <class GetMembers>
auto Module::named_members(GetMembers get_members, const std::string& prefix, bool recurse) const {
  decltype(get_members(*this)) found;
  std::unordered_set<const void*> seen;
  visit_modules(prefix, recurse, [&](const std::string& path, const Module& module) {
    for (const auto& [name, value] : get_members(module)) {
      if (value.defined() && seen.insert(value.identity()).second) {
        found.emplace_back(path + name, value);
      }
    }
  });
  return found;
}

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop

/// @cond
/// The hash of a module's identity. (Doxygen does not find the scope of std::hash<M>.)
template <std::derived_from<halnorm::nn::Module> M>
// The standard allows this; NOLINTNEXTLINE(bugprone-std-namespace-modification)
struct std::hash<M> {
  /// Equal only for the same module.
  std::size_t operator()(const halnorm::nn::Module& module) const noexcept {
    return std::hash<const void*>{}(&module);
  }
};
/// @endcond
