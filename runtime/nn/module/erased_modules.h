#pragma once

#include <memory>
#include <vector>

#include "halnorm/nn/module.h"  // not declared here: the header makes the class visible

namespace halnorm::HALNORM_ABI::nn {

/// During its lifetime, modules that are erased or replaced on its thread stay alive, because a
/// call or a walk further up the stack may use them.
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

}  // namespace halnorm::HALNORM_ABI::nn
