#include "kernels/threads/parallel.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "halnorm/error.h"
#include "halnorm/kernels.h"
#include "halnorm/threads.h"
#include "kernels/call.h"
#include "kernels/threads/default_threads.h"
#include "kernels/threads/task_loop.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

std::atomic<int> threads{0};
std::atomic<const std::function<void(const ParallelLoop&)>*> host{nullptr};

/// The tasks of a parallel_for(), which run as those of a kernel's loop.
struct Tasks {
  const std::function<void(std::int64_t)>& run;
  std::mutex mutex;
  std::exception_ptr first_error;

  void run_one(std::int64_t i) noexcept {
    const bool outer = std::exchange(launch().in_task, true);
    try {
      run(i);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!first_error) {
        first_error = std::current_exception();
      }
    }
    launch().in_task = outer;
  }
};

}  // namespace

/// A loop of one task or for one thread runs on the calling thread, without the pool and its lock.
int run_tasks(void* context, halide_task_t task, int first, int count, std::uint8_t* closure) {
  TaskLoop loop(task, context, first, count, closure);
  if (count <= 1 || launch().in_task || threads.load(std::memory_order_relaxed) == 1) {
    return loop.in_order();
  }
  if (const auto* run = host.load(std::memory_order_acquire); run != nullptr) {
    return loop.by_host(*run);
  }
  const int most = get_num_threads();
  return most == 1 ? loop.in_order() : loop.by_pool(most);
}

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  prepare_runtime();
  launch().next_walk = Walk::forwards;
  forget_message();
  const KeepThrown keep;
  Tasks tasks{task, {}, {}};
  // A loop counts its tasks in 32 bits.
  constexpr std::int64_t most = std::int64_t{1} << 30;
  for (std::int64_t first = 0; first < count && !tasks.first_error; first += most) {
    std::pair<Tasks*, std::int64_t> closure{&tasks, first};
    const int code = run_tasks(
        nullptr,
        [](void*, int i, std::uint8_t* bytes) {  // NOLINT(readability-non-const-parameter)
          const auto& [all, start] = *reinterpret_cast<std::pair<Tasks*, std::int64_t>*>(bytes);
          all->run_one(start + i);
          return 0;
        },
        0, static_cast<int>(std::min(count - first, most)),
        reinterpret_cast<std::uint8_t*>(&closure));
    if (code != 0 && !tasks.first_error) {
      throw_failure(keep.thrown, "a parallel loop", code);
    }
  }
  if (tasks.first_error) {
    forget_message();  // the exception replaces the message of the loop
    std::rethrow_exception(tasks.first_error);
  }
}

}  // namespace detail

void set_num_threads(int count) {
  if (count < 0 || count > 256) {
    throw ValueError("set_num_threads: got " + std::to_string(count) + ", wanted 0 to 256");
  }
  detail::threads.store(count, std::memory_order_relaxed);
}

void set_parallel_for(std::function<void(const ParallelLoop&)> run) {
  std::unique_ptr<const std::function<void(const ParallelLoop&)>> next;
  if (run) {
    next = std::make_unique<const std::function<void(const ParallelLoop&)>>(std::move(run));
  }
  next.reset(detail::host.exchange(next.release(), std::memory_order_acq_rel));
}

int get_num_threads() {
  const int count = detail::threads.load(std::memory_order_relaxed);
  return count != 0 ? count : detail::default_threads();
}

}  // namespace halnorm::HALNORM_ABI
