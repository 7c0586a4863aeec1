#include "cuda_stream.h"

#include <bit>
#include <exception>
#include <string>
#include <utility>

#include "constant.h"
#include "device_interface.h"
#include "halide_glue.h"
#include "halnorm/cuda.h"
#include "halnorm/error.h"
#include "spare_memory.h"

namespace halnorm::cuda {

namespace {

thread_local detail::Guarded current;

}  // namespace

#ifdef HALNORM_HAS_CUDA

extern "C" {
using AcquireContext = int (*)(void*, void**, bool);
using ReleaseContext = int (*)(void*);
using GetStream = int (*)(void*, void*, void**);
AcquireContext halide_set_cuda_acquire_context(AcquireContext handler);
ReleaseContext halide_set_cuda_release_context(ReleaseContext handler);
GetStream halide_set_cuda_get_stream(GetStream handler);
int halide_cuda_acquire_context(void* user_context, void** context, bool create);
int halide_cuda_release_context(void* user_context);
void* halide_cuda_get_symbol(void* user_context, const char* name);
}

namespace {

/// A function of the driver, from where Halide has its own.
template <class Function>
Function driver(const char* name) {
  auto* function = reinterpret_cast<Function>(halide_cuda_get_symbol(nullptr, name));
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

/// Makes a context the thread's while it lives: the guard's, or without one Halide's own.
class Current {
 public:
  explicit Current(const char* what) {
    void* context = nullptr;
    check(what, halide_cuda_acquire_context(nullptr, &context, false));
    check(what, driver<int (*)(void*)>("cuCtxPushCurrent_v2")(context));
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() {
    void* popped = nullptr;
    pop_(&popped);
    halide_cuda_release_context(nullptr);
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
      if (current.context == nullptr) {
        return default_acquire(user, context, create);
      }
      *context = current.context;
      return 0;
    });
    default_release = halide_set_cuda_release_context(
        [](void* user) { return current.context == nullptr ? default_release(user) : 0; });
    default_stream = halide_set_cuda_get_stream([](void* user, void* context, void** stream) {
      if (current.context == nullptr) {
        return default_stream(user, context, stream);
      }
      *stream = current.stream;
      return 0;
    });
    return true;
  }();
  static_cast<void>(done);
}

void copy(const char* what, void* to, const void* from, std::size_t bytes) {
  using Copy = int (*)(std::uintptr_t, std::uintptr_t, std::size_t, void*);
  const Current pushed(what);
  check(what,
        driver<Copy>("cuMemcpyAsync")(std::bit_cast<std::uintptr_t>(to),
                                      std::bit_cast<std::uintptr_t>(from), bytes, current.stream));
}

void wait(const char* what) {
  const Current pushed(what);
  check(what, driver<int (*)(void*)>("cuStreamSynchronize")(current.stream));
}

void free(std::uint64_t address) {
  const Current pushed("cuMemFree");
  check("cuMemFree", driver<int (*)(std::uint64_t)>("cuMemFree_v2")(address));
}

/// Gives back what is kept in the guard's context, as far as that goes if it has failed.
void give_back(const char* what) {
  int code = 0;
  {
    const Current pushed(what);
    code = driver<int (*)()>("cuCtxSynchronize")();
  }
  detail::forget_constants(current.context);
  detail::release_pieces(current.context);
  halide_device_release(nullptr, detail::interface_of(DeviceType::CUDA));
  detail::forget_message();
  check(what, code);
}

}  // namespace

#else

namespace {

void copy(const char* /*what*/, void* /*to*/, const void* /*from*/, std::size_t /*bytes*/) {}

void wait(const char* /*what*/) {}

void free(std::uint64_t /*address*/) {}

void install() {
  throw DeviceError("StreamGuard: this build has no kernels for cuda; see docs/targets.md");
}

void give_back(const char* /*what*/) {}

}  // namespace

#endif

namespace {

// CU_STREAM_PER_THREAD: memory may end on another thread than the one whose stream it was made in.
constexpr std::uintptr_t per_thread = 2;

}  // namespace

StreamGuard::StreamGuard(void* context, void* stream) {
  install();
  if (context == nullptr) {
    throw ValueError("StreamGuard: got a null context, wanted a CUcontext");
  }
  if (std::bit_cast<std::uintptr_t>(stream) == per_thread) {
    throw ValueError(
        "StreamGuard: got CU_STREAM_PER_THREAD, wanted a stream that is the same on each thread");
  }
  const detail::Guarded outer = std::exchange(current, {context, stream});
  outer_context_ = outer.context;
  outer_stream_ = outer.stream;
}

StreamGuard::~StreamGuard() { current = {outer_context_, outer_stream_}; }

void release(void* context) {
  if (context == nullptr) {
    throw ValueError("cuda::release: got a null context, wanted a CUcontext");
  }
  const StreamGuard guard(context, nullptr);
  give_back("cuda::release");
}

}  // namespace halnorm::cuda

namespace halnorm::detail {

Guarded guarded() noexcept { return cuda::current; }

Under::Under(const Guarded& there) noexcept : outer_(std::exchange(cuda::current, there)) {}

Under::~Under() { cuda::current = outer_; }

void heed_guards() { cuda::install(); }

void copy_in_stream(const char* what, void* to, const void* from, std::size_t bytes) {
  cuda::copy(what, to, from, bytes);
}

void free_in_context(std::uint64_t address) noexcept {
  try {
    cuda::free(address);
  } catch (const std::exception&) {  // nobody can do anything about it
    forget_message();
  }
}

void wait_for_stream(const char* what) { cuda::wait(what); }

}  // namespace halnorm::detail
