#include "nn/module/tree.h"

#include <new>

#include "nn/module/erased_modules.h"
#include "nn/module/impl.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

using Releasing = std::vector<std::shared_ptr<Module>>;

/// The children that the thread is about to release, while it does so.
thread_local Releasing* releasing = nullptr;

}  // namespace

ModuleTree::Children ModuleTree::children_of(const Module& module) {
  Children children;
  for (const Registry::Child& child : detail::ModuleImpl::of(module).registry.children) {
    if (child.listed()) {
      children.emplace_back(child.name, child.module);
    }
  }
  return children;
}

namespace {

/// False if memory ran out: the registry then releases the rest.
bool hand_over(NamedEntries<Registry::Child>& children, Releasing& list) noexcept {
  try {
    for (Registry::Child& child : children) {
      list.push_back(child.module);
      child.module = nullptr;
    }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace

/// A loop releases the children, and not the destructor of their parent's registry: a deep tree
/// would overflow the stack.
Module::~Module() {
  Registry& registry = impl_->registry;
  if (registry.child_modules == 0) {
    return;
  }
  if (releasing != nullptr) {
    hand_over(registry.children, *releasing);
    return;
  }
  Releasing own;
  hand_over(registry.children, own);
  releasing = &own;
  while (!own.empty()) {
    const std::shared_ptr<Module> next = std::move(own.back());
    own.pop_back();
  }
  releasing = nullptr;
}

}  // namespace halnorm::HALNORM_ABI::nn
