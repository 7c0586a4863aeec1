#pragma once

/// @file
/// What the process does around the library: it forks, and it ends. A child has the one thread that
/// forked: a mutex which another thread held at that moment would stay locked for ever, over data
/// that is half changed.

namespace halnorm::detail {

/// A mutex that no thread holds while the process forks. Nothing may be allocated under it: fork
/// takes all of these, and may have the allocator's locks by then.
class ForkMutex {
 public:
  constexpr ForkMutex() noexcept = default;
  ForkMutex(const ForkMutex&) = delete;
  ForkMutex& operator=(const ForkMutex&) = delete;

  void lock() noexcept;
  void unlock() noexcept;
};

/// Has fork() take these mutexes, and the child give up the threads of the pool. Happens when the
/// program starts; false where that had no memory, and has none now.
bool prepare_for_forks() noexcept;

}  // namespace halnorm::detail
