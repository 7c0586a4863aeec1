#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

/// @file
/// Hooks: functions of the caller that a module runs before or after its own work.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

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
class HookStore;
struct ModuleImpl;
}  // namespace detail

/// Removes one hook. A handle may be copied, and may outlive the module. Destroying a handle does
/// not remove the hook.
class HookHandle {
 public:
  HookHandle() noexcept = default;  ///< removes nothing; Module::register_*_hook() makes others
  /// Removes the hook: it does not run from the next call on. A second remove() has no effect.
  void remove();

 private:
  friend struct detail::ModuleImpl;
  HookHandle(std::weak_ptr<detail::HookStore> store, std::uint64_t id) noexcept
      : store_(std::move(store)), id_(id) {}

  std::weak_ptr<detail::HookStore> store_;
  std::uint64_t id_ = 0;
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
