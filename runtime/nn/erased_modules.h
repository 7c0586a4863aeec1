#pragma once

#include <memory>
#include <vector>

namespace halnorm::nn {

class Module;

/// While one lives, modules that are erased or replaced on its thread stay alive: a call or a walk
/// further up the stack may still use them.
class ErasedModules {
 public:
  ErasedModules() noexcept;
  ~ErasedModules();
  ErasedModules(const ErasedModules&) = delete;
  ErasedModules& operator=(const ErasedModules&) = delete;

  /// To be called before a module leaves its tree; it may be null.
  static void keep(const std::shared_ptr<Module>& module);

 private:
  std::vector<std::shared_ptr<Module>> kept_;
};

}  // namespace halnorm::nn
