#pragma once

#include <functional>

#include "halnorm/version.h"

/// @file
/// The threads that kernels run on: how many of halnorm's own pool, or those of a host application
/// instead.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// Sets the number of threads that one call may use, the calling thread included. 0 restores the
/// default: the environment variable HL_NUM_THREADS if it is a number from 1 to 256, otherwise one
/// thread per CPU of the affinity mask, limited by the CPU quota of the process's control groups,
/// rounded up. Affinity mask and quota are read once. The threads start with the first call that
/// needs them; that call throws KernelError if one cannot start. After fork() the child process
/// starts threads of its own.
/// @throws ValueError if negative or above 256.
void set_num_threads(int threads);
/// The number of threads that one call may use, the calling thread included.
int get_num_threads();

namespace detail {
class TaskLoop;
}

/// One parallel loop of a kernel, for the host to run.
class ParallelLoop {
 public:
  /// The number of tasks, at least 2.
  [[nodiscard]] int count() const noexcept;

  /// Runs one task. The host runs each index from 0 to count() - 1 once, on any thread, in any
  /// order, concurrently or not. run() never throws; after a task failed, the remaining tasks
  /// return at once. An index that is out of range or was run before touches no memory and makes
  /// the call fail. The task runs in the floating-point mode (rounding, flush-to-zero) of the
  /// thread that made the call; afterwards the mode of the running thread is restored.
  void run(int index) const noexcept;

 private:
  friend class detail::TaskLoop;
  explicit ParallelLoop(detail::TaskLoop& loop) noexcept : loop_(loop) {}

  detail::TaskLoop& loop_;
};

/// Makes kernels run their parallel loops through `run`, which returns after every task has run. An
/// empty function restores halnorm's own pool. halnorm/openmp.h and halnorm/tbb.h do this for
/// OpenMP and TBB. For a pool of the host's own:
///
///     halnorm::set_parallel_for([](const halnorm::ParallelLoop& loop) {
///       pool.for_each(0, loop.count(), [&](int i) { loop.run(i); });
///     });
///
/// The bits of a result do not depend on `run`. Loops of one task, and all loops after
/// set_num_threads(1), run on the calling thread; for others the host chooses the threads. Calls
/// may be made from inside a parallel region if `run` can be nested, which OpenMP and TBB support.
///
/// Threads: each thread that calls halnorm calls `run`, several at the same time if several call.
/// It may not be changed while another thread is in a call.
///
/// Errors: an exception of `run` leaves the halnorm call after all running tasks have ended. The
/// call throws KernelError if a task fails, or if `run` omits a task, runs a task twice, or uses an
/// index out of range.
void set_parallel_for(std::function<void(const ParallelLoop& loop)> run);

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
