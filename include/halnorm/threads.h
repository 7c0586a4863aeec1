#pragma once

#include <functional>

/// @file
/// A host application's own threads, in place of halnorm's pool.

#pragma GCC visibility push(default)

namespace halnorm {

namespace detail {
class TaskLoop;
}

/// One parallel loop of a kernel, for the host to run.
class ParallelLoop {
 public:
  /// How many tasks there are, at least 2.
  [[nodiscard]] int count() const noexcept;

  /// Runs a task. Each index from 0 to count() - 1 has to be run once, on any thread, in any order,
  /// beside others or not. Never throws; once a task has failed, the rest return at once. An index
  /// that is run again or that is out of range is refused: it touches no memory, and the call
  /// fails. The task runs in the floating-point mode of the thread that made the call (rounding,
  /// flush-to-zero); the mode of the thread that runs it is restored.
  void run(int index) const noexcept;

 private:
  friend class detail::TaskLoop;
  explicit ParallelLoop(detail::TaskLoop& loop) noexcept : loop_(loop) {}

  detail::TaskLoop& loop_;
};

/// Has kernels run their loops through `run`, which returns once every task has run; an empty one
/// gives halnorm's own pool back. For example, with OpenMP and with TBB:
///
///     halnorm::set_parallel_for([](const halnorm::ParallelLoop& loop) {
///     #pragma omp parallel for schedule(dynamic)
///       for (int i = 0; i < loop.count(); ++i) loop.run(i);
///     });
///     halnorm::set_parallel_for([](const halnorm::ParallelLoop& loop) {
///       tbb::parallel_for(0, loop.count(), [&](int i) { loop.run(i); });
///     });
///
/// The bits of a result do not depend on it. Loops of one task, and all loops after
/// set_num_threads(1), stay on the calling thread; otherwise the host decides how many threads
/// work. Calls may be made from inside a parallel region: `run` must then be able to nest, as
/// OpenMP and TBB are.
///
/// Threads: `run` is called by any thread that calls halnorm, by several at once if several do. It
/// may not be changed while another thread is in a call.
///
/// Errors: what `run` throws comes out of the halnorm call, after no task runs any more. A task
/// that fails, or a `run` that leaves a task out, runs one twice or runs one out of range, makes
/// the call throw KernelError.
void set_parallel_for(std::function<void(const ParallelLoop& loop)> run);

}  // namespace halnorm

#pragma GCC visibility pop
