#pragma once

#pragma GCC visibility push(default)

namespace halnorm {

/// Whether forwards on this thread remember what their backward needs. On by default.
bool grad_enabled() noexcept;

/// While it lives, forwards on this thread keep nothing for a backward: no memory is held, and
/// threads share an eval-mode module without touching it. Statistics are still updated in training.
class NoGradGuard {
 public:
  NoGradGuard() noexcept;
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace halnorm

#pragma GCC visibility pop
