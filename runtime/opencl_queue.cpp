#include "opencl_queue.h"

#include <string>

#include "halide_glue.h"
#include "halnorm/error.h"

namespace halnorm::detail {

#ifdef HALNORM_HAS_OPENCL

extern "C" {
int halide_acquire_cl_context(void* user_context, void** context, void** queue, bool create);
int halide_release_cl_context(void* user_context);
std::uintptr_t halide_opencl_get_cl_mem(void* user_context, halide_buffer_t* buffer);
void* halide_opencl_get_symbol(void* user_context, const char* name);
}

namespace {

/// Halide's queue, which no other thread uses meanwhile.
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

int enqueue(ClPart& to, ClPart& from, std::size_t bytes) {
  static auto* copy =
      reinterpret_cast<CopyBuffer>(halide_opencl_get_symbol(nullptr, "clEnqueueCopyBuffer"));
  const Queue queue;
  return queue.code() != 0 ? queue.code()
                           : copy(queue.get(), halide_opencl_get_cl_mem(nullptr, &from.buffer),
                                  halide_opencl_get_cl_mem(nullptr, &to.buffer), from.first,
                                  to.first, bytes, 0, nullptr, nullptr);
}

}  // namespace

void copy_in_queue(const char* what, ClPart to, ClPart from, std::size_t bytes) {
  if (const int code = enqueue(to, from, bytes); code != 0) {
    throw DeviceError(std::string(what) + ": OpenCL failed with code " + std::to_string(code) +
                      ": " + take_message());
  }
}

#else

void copy_in_queue(const char* /*what*/, ClPart /*to*/, ClPart /*from*/, std::size_t /*bytes*/) {}

#endif

}  // namespace halnorm::detail
