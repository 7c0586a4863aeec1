#pragma once

#include <HalideRuntime.h>

#include <cstdint>
#include <functional>

#include "halnorm/version.h"

/// @file
/// Parallel loops: on the library's own threads, or on those of the host (halnorm/threads.h).

namespace halnorm::HALNORM_ABI::detail {

/// Runs a kernel's parallel loop. Halide's runtime calls it instead of its own thread pool.
int run_tasks(void* context, halide_task_t task, int first, int count, std::uint8_t* closure);

/// Calls task(0), ..., task(count - 1), in parallel if there are threads. It returns after all have
/// ended, and rethrows the exception of one. A kernel that a task runs uses the task's thread only.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task);

}  // namespace halnorm::HALNORM_ABI::detail
