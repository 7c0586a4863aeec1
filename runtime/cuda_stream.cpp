#include "cuda_stream.h"

#include <bit>
#include <string>
#include <utility>

#include "constant.h"
#include "device_interface.h"
#include "halnorm/cuda.h"
#include "halnorm/error.h"

namespace halnorm::cuda {

namespace {

/// What this thread's guard has set; no context, no guard.
thread_local void* current_context = nullptr;
thread_local void* current_stream = nullptr;

}  // namespace

#ifdef HALNORM_HAS_CUDA

extern "C" {
using AcquireContext = int (*)(void*, void**, bool);
using ReleaseContext = int (*)(void*);
using GetStream = int (*)(void*, void*, void**);
AcquireContext halide_set_cuda_acquire_context(AcquireContext handler);
ReleaseContext halide_set_cuda_release_context(ReleaseContext handler);
GetStream halide_set_cuda_get_stream(GetStream handler);
}

namespace {

/// A function of the driver, which Halide has loaded.
template <class Function>
Function driver(const char* name) {
  static void* library = halide_load_library("libcuda.so");
  auto* function = std::bit_cast<Function>(halide_get_library_symbol(library, name));
  if (function == nullptr) {
    throw DeviceError(std::string("CUDA's driver has no ") + name);
  }
  return function;
}

void check(const char* what, int code) {
  if (code != 0) {
    throw DeviceError(std::string(what) + ": CUDA failed with code " + std::to_string(code));
  }
}

/// Makes the guard's context the thread's while it lives.
class Current {
 public:
  explicit Current(const char* what) {
    check(what, driver<int (*)(void*)>("cuCtxPushCurrent_v2")(current_context));
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() {
    void* popped = nullptr;
    pop_(&popped);
  }

 private:
  int (*pop_)(void**) = driver<int (*)(void**)>("cuCtxPopCurrent_v2");
};

/// Halide's own, for threads without a guard.
AcquireContext default_acquire = nullptr;
ReleaseContext default_release = nullptr;
GetStream default_stream = nullptr;

void install() {
  static const bool done = [] {
    default_acquire = halide_set_cuda_acquire_context([](void* user, void** context, bool create) {
      if (current_context == nullptr) {
        return default_acquire(user, context, create);
      }
      *context = current_context;
      return 0;
    });
    default_release = halide_set_cuda_release_context(
        [](void* user) { return current_context == nullptr ? default_release(user) : 0; });
    default_stream = halide_set_cuda_get_stream([](void* user, void* context, void** stream) {
      if (current_context == nullptr) {
        return default_stream(user, context, stream);
      }
      *stream = current_stream;
      return 0;
    });
    return true;
  }();
  static_cast<void>(done);
}

void copy(const char* what, void* to, const void* from, std::size_t bytes, bool wait) {
  using Copy = int (*)(std::uintptr_t, std::uintptr_t, std::size_t, void*);
  const Current current(what);
  check(what,
        driver<Copy>("cuMemcpyAsync")(std::bit_cast<std::uintptr_t>(to),
                                      std::bit_cast<std::uintptr_t>(from), bytes, current_stream));
  if (wait) {
    check(what, driver<int (*)(void*)>("cuStreamSynchronize")(current_stream));
  }
}

}  // namespace

#else

namespace {

void copy(const char* /*what*/, void* /*to*/, const void* /*from*/, std::size_t /*bytes*/,
          bool /*wait*/) {}

void install() {
  throw DeviceError("StreamGuard: this build has no kernels for cuda; see docs/targets.md");
}

}  // namespace

#endif

StreamGuard::StreamGuard(void* context, void* stream) {
  install();
  if (context == nullptr) {
    throw ValueError("StreamGuard: got a null context, wanted a CUcontext");
  }
  outer_context_ = std::exchange(current_context, context);
  outer_stream_ = std::exchange(current_stream, stream);
}

StreamGuard::~StreamGuard() {
  current_context = outer_context_;
  current_stream = outer_stream_;
}

void release(void* context) {
  const StreamGuard guard(context, nullptr);
  detail::forget_constants(context);
  halide_device_release(nullptr, detail::interface_of(DeviceType::CUDA));
}

}  // namespace halnorm::cuda

namespace halnorm::detail {

void* guarded_context() noexcept { return cuda::current_context; }

void copy_in_stream(const char* what, void* to, const void* from, std::size_t bytes, bool wait) {
  cuda::copy(what, to, from, bytes, wait);
}

}  // namespace halnorm::detail
