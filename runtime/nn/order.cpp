#include <ranges>
#include <string>
#include <unordered_set>
#include <vector>

#include "halnorm/error.h"
#include "nn/tree.h"

namespace halnorm::nn {

namespace detail {

std::int64_t next_rank() noexcept {
  static std::atomic<std::int64_t> latest = 0;
  return latest.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace detail

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

void Module::check_no_cycle(const std::string& name, const Module* child) const {
  if (child == nullptr ||
      (child != this && (!rank_.has_parent || rank_.value > child->rank_.value))) {
    return;
  }
  Search search(*this, [this](const Module& module) { return module.rank_.value > rank_.value; });
  ModuleTree::walk(*child, "", search);
  if (search.found()) {
    const std::string& path = search.path();
    throw ValueError(
        this->name() + ": got module '" + name + "' that contains the module it would be added to" +
        (path.empty() ? "" : " as '" + path.substr(0, path.size() - 1) + "'") + ", wanted a tree");
  }
}

/// Keeps the order of ranks for a child that closes no cycle.
void Module::adopt(Module& child) {
  if (!rank_.has_parent) {
    rank_.value = detail::next_rank();
  } else if (rank_.value <= child.rank_.value) {
    // Below all ranks that there are. Parents first: each gets a lower one than those before it.
    ChildrenFirstOnce below;
    ModuleTree::walk(child, "", below);
    for (Module* module : std::views::reverse(below.found())) {
      module->rank_.value = -detail::next_rank();
    }
  }
  child.rank_.has_parent = true;
}

}  // namespace halnorm::nn
