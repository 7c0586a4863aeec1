#pragma once

/// @file
/// The threads that help with parallel loops. They start with the first loop that wants them, and
/// end with the program, or when the library is unloaded.

namespace halnorm::detail {

/// Calls work(argument) on this thread, and on up to `helpers` threads of the pool beside it, fewer
/// if they are busy; returns when all these calls have returned. So work() has to do everything
/// by itself, if need be. Returns 0, or pthread_create()'s error: then nothing was called.
int work_together(int helpers, void (*work)(void*), void* argument) noexcept;

/// Ends the threads: the library may be unloaded next. Calls that come later have no helpers.
void end_pool() noexcept;

/// For fork(): nothing changes in the pool between the first two; a child has no other threads.
void lock_pool() noexcept;
void unlock_pool() noexcept;
void forget_pool_threads() noexcept;

}  // namespace halnorm::detail
