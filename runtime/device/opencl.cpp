#include "device/opencl.h"

#include <string>

#include "halnorm/error.h"
#include "kernels/call.h"

namespace halnorm::HALNORM_ABI::detail {

extern "C" {
int halide_acquire_cl_context(void* user_context, void** context, void** queue, bool create);
int halide_release_cl_context(void* user_context);
std::uintptr_t halide_opencl_get_cl_mem(void* user_context, halide_buffer_t* buffer);
void* halide_opencl_get_symbol(void* user_context, const char* name);
}

namespace {

/// Halide's queue, locked during the lifetime of the object.
class Queue {
 public:
  Queue() : code_(halide_acquire_cl_context(nullptr, &context_, &queue_, true)) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    if (code_ == 0) {
      halide_release_cl_context(nullptr);
    }
  }

  [[nodiscard]] int code() const noexcept { return code_; }
  [[nodiscard]] void* get() const noexcept { return queue_; }

 private:
  void* context_ = nullptr;
  void* queue_ = nullptr;
  int code_;
};

using CopyBuffer = int (*)(void* queue, std::uintptr_t from, std::uintptr_t to, std::size_t first,
                           std::size_t target, std::size_t bytes, unsigned events, void* wait_for,
                           void* event);

using FillBuffer = int (*)(void* queue, std::uintptr_t buffer, const void* value, std::size_t size,
                           std::size_t first, std::size_t bytes, unsigned events, void* wait_for,
                           void* event);

/// A function of the driver, which Halide has loaded.
template <class Function>
Function driver(const char* name) {
  return reinterpret_cast<Function>(halide_opencl_get_symbol(nullptr, name));
}

/// put(queue) enqueues a command, and returns OpenCL's code.
template <class Put>
void enqueue(const char* what, Put put) {
  int code = 0;
  {
    const Queue queue;
    code = queue.code() != 0 ? queue.code() : put(queue.get());
  }
  if (code != 0) {
    throw DeviceError(std::string(what) + ": OpenCL failed with code " + std::to_string(code) +
                      ": " + take_message());
  }
}

}  // namespace

void copy_in_queue(const char* what, ClPart to, ClPart from, std::size_t bytes) {
  static const auto copy = driver<CopyBuffer>("clEnqueueCopyBuffer");
  enqueue(what, [&](void* queue) {
    return copy(queue, halide_opencl_get_cl_mem(nullptr, &from.buffer),
                halide_opencl_get_cl_mem(nullptr, &to.buffer), from.first, to.first, bytes, 0,
                nullptr, nullptr);
  });
}

void fill_in_queue(const char* what, ClPart to, const void* value, std::size_t size,
                   std::size_t count) {
  static const auto fill = driver<FillBuffer>("clEnqueueFillBuffer");
  enqueue(what, [&](void* queue) {
    return fill(queue, halide_opencl_get_cl_mem(nullptr, &to.buffer), value, size, to.first,
                size * count, 0, nullptr, nullptr);
  });
}

}  // namespace halnorm::HALNORM_ABI::detail
