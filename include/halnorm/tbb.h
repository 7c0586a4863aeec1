#pragma once

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include "halnorm/threads.h"

/// @file
/// For hosts that compute with oneTBB. A header alone: the library does not link TBB.

namespace halnorm::HALNORM_ABI {

namespace detail {

/// Isolated: a thread that waits for a task of this loop takes no task of the host's meanwhile.
inline void run_with_tbb(const ParallelLoop& loop) {
  tbb::this_task_arena::isolate(
      [&loop] { tbb::parallel_for(0, loop.count(), [&loop](int index) { loop.run(index); }); });
}

}  // namespace detail

/// Has kernels run their loops on TBB's threads, in the arena of the caller: set_parallel_for(),
/// and what is said there. A call from inside a task shares the arena's threads with the host's
/// tasks.
inline void use_tbb() { set_parallel_for(&detail::run_with_tbb); }

}  // namespace halnorm::HALNORM_ABI
