#include "halide_glue.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "halnorm/error.h"
#include "halnorm/kernels.h"

namespace halnorm {

namespace detail {

namespace {

thread_local std::string message;
std::atomic<int> threads{0};

/// Halide's own handler ends the process; this one keeps the text for the exception.
void keep_message(void*, const char* text) { message = text; }

/// One task, or one thread, needs no pool, and so no lock.
int run_tasks(void* context, halide_task_t task, int first, int count, std::uint8_t* closure) {
  if (count == 1 || threads.load(std::memory_order_relaxed) == 1) {
    for (int i = first; i < first + count; ++i) {
      const int code = task(context, i, closure);
      if (code != 0) {
        return code;
      }
    }
    return 0;
  }
  return halide_default_do_par_for(context, task, first, count, closure);
}

void prepare_runtime() {
  static const bool done = [] {
    halide_set_error_handler(&keep_message);
    halide_set_custom_do_par_for(&run_tasks);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

KernelBuffer::KernelBuffer(void* data, DType dtype, std::initializer_list<Axis> axes) {
  std::transform(axes.begin(), axes.end(), axes_.begin(), [](const Axis& a) {
    return halide_dimension_t(0, static_cast<std::int32_t>(a.extent),
                              static_cast<std::int32_t>(a.stride));
  });
  buffer_.host = static_cast<std::uint8_t*>(data);
  buffer_.type = halide_type_t(dtype == DType::BFloat16 ? halide_type_bfloat : halide_type_float,
                               static_cast<std::uint8_t>(8 * size_of(dtype)));
  buffer_.dimensions = static_cast<std::int32_t>(axes.size());
  buffer_.dim = axes_.data();
}

void run_kernel(const char* function, const Kernel& kernel,
                std::initializer_list<const void*> arguments) {
  prepare_runtime();
  std::array<void*, 16> argv;
  std::transform(arguments.begin(), arguments.end(), argv.begin(),
                 [](const void* p) { return const_cast<void*>(p); });
  message.clear();
  const int code = kernel.run(argv.data());
  if (code != 0) {
    throw KernelError(std::string(function) + ": kernel " + kernel.name + " failed with code " +
                      std::to_string(code) + ": " + message);
  }
}

}  // namespace detail

void set_num_threads(int count) {
  if (count < 0 || count > 256) {
    throw ValueError("set_num_threads: got " + std::to_string(count) + ", wanted 0 to 256");
  }
  detail::threads.store(count, std::memory_order_relaxed);
  halide_set_num_threads(count);
}

int get_num_threads() {
  const int count = detail::threads.load(std::memory_order_relaxed);
  return count != 0 ? count : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace halnorm
