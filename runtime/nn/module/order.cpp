#include <ranges>
#include <string>
#include <unordered_set>
#include <vector>

#include "halnorm/error.h"
#include "nn/module/impl.h"
#include "nn/module/tree.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

std::int64_t next_rank() noexcept {
  static std::atomic<std::int64_t> latest = 0;
  return latest.fetch_add(1, std::memory_order_relaxed) + 1;
}

namespace {

/// Looks for a module below another, among those that may be above it.
template <class MayContain>
class Search : public ModuleTree::Visitor {
 public:
  Search(const Module& wanted, MayContain may_contain)
      : wanted_(wanted), may_contain_(std::move(may_contain)) {}

  bool enter(const ModuleTree::Place<const Module>& place) {
    if (&place.module == &wanted_) {
      path_ = place.prefix;
      found_ = true;
    }
    return !found_ && may_contain_(place.module) && seen_.insert(&place.module).second;
  }
  [[nodiscard]] bool found() const { return found_; }
  /// With a "." behind it; empty for the module that the search began with.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const Module& wanted_;
  MayContain may_contain_;
  bool found_ = false;
  std::string path_;
  std::unordered_set<const Module*> seen_;
};

/// Lists each module once, children first.
class ChildrenFirstOnce : public ModuleTree::Visitor {
 public:
  bool enter(const ModuleTree::Place<Module>& place) { return seen_.insert(&place.module).second; }
  void leave(Module& module, const std::string& /*prefix*/) { found_.push_back(&module); }
  [[nodiscard]] const std::vector<Module*>& found() const { return found_; }

 private:
  std::unordered_set<const Module*> seen_;
  std::vector<Module*> found_;
};

}  // namespace

void ModuleImpl::check_no_cycle(const std::string& name, const Module* child) const {
  if (child == nullptr ||
      (child != &module && (!rank.has_parent || rank.value > of(*child).rank.value))) {
    return;
  }
  Search search(module, [this](const Module& other) { return of(other).rank.value > rank.value; });
  ModuleTree::walk(*child, "", search);
  if (search.found()) {
    const std::string& path = search.path();
    throw ValueError(module.name() + ": got module '" + name +
                     "' that contains the module it would be added to" +
                     (path.empty() ? "" : " as '" + path.substr(0, path.size() - 1) + "'") +
                     ", wanted a tree");
  }
}

void ModuleImpl::adopt(Module& child) {
  Rank& of_child = of(child).rank;
  if (!rank.has_parent) {
    rank.value = next_rank();
  } else if (rank.value <= of_child.value) {
    // Below all ranks that there are. Parents first: each gets a lower one than those before it.
    ChildrenFirstOnce below;
    ModuleTree::walk(child, "", below);
    for (Module* other : std::views::reverse(below.found())) {
      of(*other).rank.value = -next_rank();
    }
  }
  of_child.has_parent = true;
}

}  // namespace halnorm::HALNORM_ABI::nn
