#pragma once

#include <memory>
#include <string>

#include "halnorm/nn/module.h"
#include "nn/module/hook_list.h"
#include "nn/module/registry.h"

namespace halnorm::HALNORM_ABI::nn::detail {

class SavedForwards;

/// The state of a module, and the operations on it that Module shares with the other files of this
/// room.
struct ModuleImpl {
  explicit ModuleImpl(Module& of_module);
  ~ModuleImpl();
  ModuleImpl(const ModuleImpl&) = delete;
  ModuleImpl& operator=(const ModuleImpl&) = delete;

  static ModuleImpl& of(Module& module) noexcept { return *module.impl_; }
  static const ModuleImpl& of(const Module& module) noexcept { return *module.impl_; }

  template <class Hook>
  static HookHandle add_hook(std::shared_ptr<HookList<Hook>>& list, Hook hook, bool prepend,
                             const char* function);
  Tensor run_hooks(const Tensor& x, Tensor y);

  void check_name(const char* kind, const std::string& name, bool taken) const;
  /// The name of a member of the class keeps to that member's kind.
  void check_unbound(const char* value, const std::string& name) const;
  void check_no_cycle(const std::string& name, const Module* child) const;
  /// Keeps the order of ranks for a child that closes no cycle.
  void adopt(Module& child);
  /// `member`: the member of the class that the name is bound to, or null.
  void put_child(const std::string& name, std::shared_ptr<Module> child, Module* member = nullptr);

  /// Protected members of Module, for a clone.
  /// @{
  [[nodiscard]] std::shared_ptr<Module> new_instance() const { return module.new_instance(); }
  void copy_settings(const Module& source) { module.copy_settings(source); }
  /// @}

  Module& module;
  Registry registry;
  std::shared_ptr<HookList<ForwardPreHook>> pre_hooks;  ///< null without hooks, and so the next two
  std::shared_ptr<HookList<ForwardHook>> hooks;
  std::shared_ptr<HookList<LoadStateDictPreHook>> load_hooks;
  std::shared_ptr<const Placement> placement;  ///< null for a local module
  bool training = true;
  Rank rank;
  std::unique_ptr<SavedForwards> saved;  ///< null for a class that keeps no records
};

}  // namespace halnorm::HALNORM_ABI::nn::detail
