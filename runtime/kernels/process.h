#pragma once

#include "halnorm/version.h"

/// @file
/// fork() and the end of the process. A child process has only the thread that forked. A mutex that
/// another thread held during the fork would stay locked in the child, and its data inconsistent.

namespace halnorm::HALNORM_ABI::detail {

/// A mutex that no thread holds while the process forks: fork() locks all of them first. Nothing
/// may be allocated while it is held, because fork() may hold the allocator's locks at that time.
class ForkMutex {
 public:
  constexpr ForkMutex() noexcept = default;
  ForkMutex(const ForkMutex&) = delete;
  ForkMutex& operator=(const ForkMutex&) = delete;

  void lock() noexcept;
  void unlock() noexcept;
};

/// Registers the handlers of fork(), which lock these mutexes and make the child forget the pool's
/// threads. The first call is made when the program starts. False if memory ran out in each call.
bool prepare_for_forks() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
