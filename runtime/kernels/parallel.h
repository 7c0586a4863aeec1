#pragma once

#include <HalideRuntime.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>

/// @file
/// Parallel loops: on the library's own threads, or on those of the host (halnorm/threads.h).

namespace halnorm::detail {

/// Runs a kernel's loop. Halide's runtime calls it in place of its own thread pool.
int run_tasks(void* context, halide_task_t task, int first, int count, std::uint8_t* closure);

/// Calls task(0), ..., task(count - 1), side by side where there are threads; returns when all have
/// ended, and throws what one of them threw. A kernel that a task runs stays on the task's thread.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task);

/// Throws what the host's parallel-for threw, or a KernelError that says why `what` failed.
[[noreturn]] void throw_failure(const std::exception_ptr& thrown, const std::string& what,
                                int code);

}  // namespace halnorm::detail
