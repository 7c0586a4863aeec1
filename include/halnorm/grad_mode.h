#pragma once

#include "halnorm/version.h"

/// @file
/// Forwards without a backward.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// Whether a forward on this thread keeps the record that its backward needs. True by default.
bool grad_enabled() noexcept;

/// During its lifetime, forwards on this thread keep no record for a backward. They hold no memory,
/// and a forward in eval mode writes nothing to its module. Training still updates running
/// statistics.
class NoGradGuard {
 public:
  NoGradGuard() noexcept;  ///< turns records off
  ~NoGradGuard();          ///< restores the previous setting
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
