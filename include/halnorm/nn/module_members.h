#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <unordered_set>

#include "halnorm/nn/module.h"  // NOLINT(misc-header-include-cycle): it includes this last

/// @file
/// How Module lists members, and its hash; a part of halnorm/nn/module.h.

#pragma GCC visibility push(default)

namespace halnorm::nn {

template <class GetMembers, class Found>
void Module::visit_members(const GetMembers& get_members, const std::string& path, bool recurse,
                           const Found& found) const {
  std::unordered_set<const void*> seen;
  visit_modules(path, recurse, [&](const std::string& prefix, const Module& module) {
    for (const auto& [name, value] : get_members(module)) {
      if (value.defined() && seen.insert(value.identity()).second) {
        found(prefix, name, value);
      }
    }
  });
}

template <class GetMembers>
auto Module::named_members(GetMembers get_members, const std::string& prefix, bool recurse) const {
  decltype(get_members(*this)) found;
  visit_members(get_members, prefix, recurse,
                [&](const std::string& place, const std::string& name, const auto& value) {
                  found.emplace_back(place + name, value);
                });
  return found;
}

}  // namespace halnorm::nn

#pragma GCC visibility pop

/// Of a module's identity. (Types of ours may be given a hash, which the check does not see here.)
template <std::derived_from<halnorm::nn::Module> M>
// NOLINTNEXTLINE(bugprone-std-namespace-modification)
struct std::hash<M> {
  std::size_t operator()(const halnorm::nn::Module& module) const noexcept {
    return std::hash<const void*>{}(&module);
  }
};
