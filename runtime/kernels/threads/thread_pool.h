#pragma once

#include "halnorm/version.h"

/// @file
/// The thread pool for parallel loops. Its threads start with the first loop that needs them, and
/// end with the program or when the library is unloaded.

namespace halnorm::HALNORM_ABI::detail {

/// Calls work(argument) on this thread and on up to `helpers` threads of the pool, fewer if they
/// are busy, and returns after all calls have returned. So work() on this thread may have to do
/// everything. Returns 0, or the error of pthread_create(); then nothing was called.
int work_together(int helpers, void (*work)(void*), void* argument) noexcept;

/// Joins the threads, for example before the library is unloaded. Later calls have no helpers.
void end_pool() noexcept;

/// The handlers of fork(). The pool does not change between lock_pool() and unlock_pool(). A child
/// process calls forget_pool_threads(), because it has none of the pool's threads.
void lock_pool() noexcept;
void unlock_pool() noexcept;
void forget_pool_threads() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
