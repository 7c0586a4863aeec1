#include "halide_glue.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "default_threads.h"
#include "device_memory.h"
#include "driver_call.h"
#include "halnorm/error.h"
#include "halnorm/kernels.h"
#include "halnorm/threads.h"
#include "process.h"
#include "task_loop.h"
#include "thread_memory.h"

namespace halnorm {

namespace detail {

namespace {

std::atomic<int> threads{0};
thread_local bool in_task = false;  ///< of parallel_for()
std::atomic<const std::function<void(const ParallelLoop&)>*> host{nullptr};

/// One task, or one thread, needs no pool, and so no lock.
int run_tasks(void* context, halide_task_t task, int first, int count, std::uint8_t* closure) {
  TaskLoop loop(task, context, first, count, closure);
  if (count <= 1 || in_task || threads.load(std::memory_order_relaxed) == 1) {
    return loop.in_order();
  }
  if (const auto* run = host.load(std::memory_order_acquire); run != nullptr) {
    return loop.by_host(*run);
  }
  const int most = get_num_threads();
  return most == 1 ? loop.in_order() : loop.by_pool(most);
}

/// Sums come before what only writes, and left the end of the data in cache. Inference finds
/// nothing there that was left by its own threads: side by side they take 2 to 10 % less than on
/// ranges (an Intel Xeon, 2 threads, 3 to 10 MB).
Walk walk_of(Operation operation) noexcept {
  switch (operation) {
    case Operation::batch_norm_infer:
    case Operation::batch_norm_fused_infer:
      return Walk::side_by_side;
    case Operation::batch_norm_elemt:
    case Operation::batch_norm_elemt_stream:
    case Operation::batch_norm_backward_elemt:
    case Operation::batch_norm_backward_elemt_stream:
      return Walk::backwards;
    default:
      return Walk::forwards;
  }
}

/// Throws what the host threw, or why `what` failed.
[[noreturn]] void throw_failure(const std::exception_ptr& thrown, const std::string& what,
                                int code) {
  if (thrown) {
    forget_message();
    std::rethrow_exception(thrown);
  }
  throw KernelError(what + " failed with code " + std::to_string(code) + ": " + take_message());
}

int run_on_device(const char* function, const Kernel& kernel, void** arguments) {
  const DriverCall call(function);
  forget_message();  // of what was given back to a device in vain
  return kernel.run(arguments);
}

/// The tasks of a parallel_for(), as Halide's thread pool takes them.
struct Tasks {
  const std::function<void(std::int64_t)>& run;
  std::mutex mutex;
  std::exception_ptr first_error;

  void run_one(std::int64_t i) noexcept {
    const bool outer = std::exchange(in_task, true);
    try {
      run(i);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!first_error) {
        first_error = std::current_exception();
      }
    }
    in_task = outer;
  }
};

}  // namespace

void prepare_runtime() {
  static constinit ForkMutex mutex;
  static constinit std::atomic<bool> done{false};
  if (done.load(std::memory_order_acquire)) {
    return;
  }
  if (!prepare_for_forks()) {
    throw std::bad_alloc();
  }
  const std::scoped_lock lock(mutex);
  halide_set_error_handler(&keep_message);
  halide_set_custom_do_par_for(&run_tasks);
  lend_memory_to_kernels();
  done.store(true, std::memory_order_release);
}

std::string take_message() {
  auto& message = thread_failure().message;
  std::string text(message.data());
  forget_message();
  return text;
}

void forget_message() noexcept { thread_failure().message.front() = '\0'; }

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  prepare_runtime();
  start_loops(Walk::forwards);
  forget_message();
  const KeepThrown keep;
  Tasks tasks{task, {}, {}};
  // Halide counts in 32 bits.
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
    forget_message();  // of the loop itself
    std::rethrow_exception(tasks.first_error);
  }
}

void KernelBuffer::place(const DeviceMemory& memory, void* data, DType dtype) {
  buffer_.type = DeviceMemory::type_of(dtype);
  memory.place(buffer_, data);
}

void run_kernel(const char* function, const Kernel& kernel,
                std::initializer_list<const void*> arguments) {
  prepare_runtime();
  std::array<void*, 16> argv;
  std::transform(arguments.begin(), arguments.end(), argv.begin(),
                 [](const void* p) { return const_cast<void*>(p); });
  start_loops(walk_of(kernel.operation));
  forget_message();
  const KeepThrown keep;
  const int code = kernel.vector_bytes == 0 ? run_on_device(function, kernel, argv.data())
                                            : kernel.run(argv.data());
  if (code != 0) {
    throw_failure(keep.thrown, std::string(function) + ": kernel " + kernel.name, code);
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

}  // namespace halnorm
