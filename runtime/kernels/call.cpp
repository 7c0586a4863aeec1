#include "kernels/call.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <string>

#include "base/driver_call.h"
#include "kernels/memory/workspace.h"
#include "kernels/process.h"
#include "kernels/threads/parallel.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

int run_on_device(const char* function, const Kernel& kernel, void** arguments) {
  const DriverCall call(function);
  forget_message();  // a failed release of device memory may have left one
  return kernel.run(arguments);
}

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

void run_kernel(const char* function, const Kernel& kernel,
                std::span<const void* const> arguments) {
  prepare_runtime();
  Launch& own = launch();
  own.last = &kernel;
  std::array<void*, most_arguments> argv;
  std::transform(arguments.begin(), arguments.end(), argv.begin(),
                 [](const void* p) { return const_cast<void*>(p); });
  own.next_walk = kernel.first_loop;
  forget_message();
  const KeepThrown keep;
  const int code = kernel.vector_bytes == 0 ? run_on_device(function, kernel, argv.data())
                                            : kernel.run(argv.data());
  if (code != 0) {
    throw_failure(keep.thrown, std::string(function) + ": kernel " + kernel.name, code);
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
