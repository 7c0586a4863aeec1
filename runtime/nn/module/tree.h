#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "halnorm/nn/module.h"

namespace halnorm::HALNORM_ABI::nn {

/// Depth-first walks over a module and all modules below it. A walk has its own stack, because a
/// tree may be deeper than the thread's stack allows.
class ModuleTree {
 public:
  using Children = NamedList<std::shared_ptr<Module>>;

  /// One place in the tree; a module may have several. M is Module or const Module.
  template <class M>
  struct Place {
    M& module;
    const std::shared_ptr<Module>& owner;  ///< null for the root
    std::string_view name;                 ///< within its parent
    const std::string& prefix;             ///< names on the way from the root, each followed by "."
    std::size_t depth;                     ///< 0 for the root
  };

  /// The functions of a visitor. It hides the members that it needs, and may have none(name, depth)
  /// for children that are "None".
  struct Visitor {
    /// Before the children. False leaves them out, and leave() too.
    template <class M>
    bool enter(const Place<M>& /*place*/) {
      return true;
    }
    /// After the children.
    template <class M>
    void leave(M& /*module*/, const std::string& /*prefix*/) {}
    /// The children to visit, read after enter() has returned.
    static Children children(const Module& module) { return children_of(module); }
  };

  /// The present children of a module, "None" included.
  static Children children_of(const Module& module);

  template <class M, class V>
  static void walk(M& root, std::string prefix, V&& visitor) {
    struct Level {
      M* module;
      std::size_t outer_size;  ///< of the prefix
      Children children;       ///< keeps them alive until the walk has visited them
      std::size_t next = 0;
    };
    std::vector<Level> levels;
    const auto enter = [&](M& module, const std::shared_ptr<Module>& owner, std::string_view name) {
      const std::size_t outer_size = prefix.size() - (levels.empty() ? 0 : name.size() + 1);
      if (visitor.enter(Place<M>{module, owner, name, prefix, levels.size()})) {
        levels.push_back({&module, outer_size, visitor.children(module)});
      } else {
        prefix.resize(outer_size);
      }
    };
    enter(root, nullptr, {});
    while (!levels.empty()) {
      Level& level = levels.back();
      if (level.next == level.children.size()) {
        visitor.leave(*level.module, prefix);
        prefix.resize(level.outer_size);
        levels.pop_back();
        continue;
      }
      const auto& [name, child] = level.children[level.next++];
      if (child == nullptr) {
        if constexpr (requires { visitor.none(std::string_view(), std::size_t()); }) {
          visitor.none(name, levels.size());
        }
        continue;
      }
      prefix.append(name).append(".");
      enter(*child, child, name);
    }
  }
};

}  // namespace halnorm::HALNORM_ABI::nn
