#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

/// @file
/// Hooks: functions of the caller that a module runs before or after its own work.

#pragma GCC visibility push(default)

namespace halnorm::nn {

class Module;

/// Receives the input before forward. A defined result replaces the input.
using ForwardPreHook = std::function<Tensor(Module& module, const Tensor& x)>;

/// Receives the input after the pre-hooks, and the output. A defined result replaces the output.
using ForwardHook = std::function<Tensor(Module& module, const Tensor& x, const Tensor& y)>;

/// May change the dictionary before a module loads from it, for example rename the keys of an older
/// checkpoint. The dictionary is load_state_dict's own copy; the names of this module's entries
/// begin with `prefix`.
using LoadStateDictPreHook =
    std::function<void(Module& module, StateDict& dict, const std::string& prefix)>;

namespace detail {

class HookStore {
 public:
  HookStore() = default;
  HookStore(const HookStore&) = delete;
  HookStore& operator=(const HookStore&) = delete;
  virtual ~HookStore() = default;
  virtual void remove(std::uint64_t id) = 0;
};

/// Hooks in the order they run. A change makes a new list, so that a call which is running goes on
/// with the hooks it began with. Ids are never used twice.
template <class Hook>
class HookList : public HookStore {
 public:
  using Entries = std::vector<std::pair<std::uint64_t, Hook>>;

  std::uint64_t add(Hook hook, bool prepend) {
    auto changed = std::make_shared<Entries>(*entries_);
    const auto place = prepend ? changed->begin() : changed->end();
    changed->emplace(place, next_id_, std::move(hook));
    entries_ = std::move(changed);
    return next_id_++;
  }

  void remove(std::uint64_t id) override {
    auto changed = std::make_shared<Entries>(*entries_);
    std::erase_if(*changed, [id](const auto& entry) { return entry.first == id; });
    entries_ = std::move(changed);
  }

  [[nodiscard]] std::shared_ptr<const Entries> entries() const { return entries_; }

 private:
  std::shared_ptr<const Entries> entries_ = std::make_shared<Entries>();
  std::uint64_t next_id_ = 0;
};

}  // namespace detail

/// Removes one hook. A handle may be copied, and may outlive the module. Destroying a handle does
/// not remove the hook.
class HookHandle {
 public:
  HookHandle() noexcept = default;
  /// Made by the functions Module::register_*_hook().
  HookHandle(std::weak_ptr<detail::HookStore> store, std::uint64_t id) noexcept
      : store_(std::move(store)), id_(id) {}

  /// Removes the hook: it does not run from the next call on. A second remove() has no effect.
  void remove();

 private:
  std::weak_ptr<detail::HookStore> store_;
  std::uint64_t id_ = 0;
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
