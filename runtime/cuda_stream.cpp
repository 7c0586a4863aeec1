#include "halnorm/cuda.h"

#include <utility>

#include "device_interface.h"
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

}  // namespace

#else

namespace {

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

}  // namespace halnorm::cuda
