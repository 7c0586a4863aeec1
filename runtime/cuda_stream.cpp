#include "cuda_stream.h"

#include <bit>
#include <cstring>
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

using Address = std::uintptr_t;

/// A function of the driver, from where Halide has its own.
template <class Signature>
Signature* find(const char* name) {
  auto* function = reinterpret_cast<Signature*>(halide_cuda_get_symbol(nullptr, name));
  if (function == nullptr) {
    throw DeviceError(std::string("CUDA's driver has no ") + name);
  }
  return function;
}

/// Those that are called here. Each returns CUDA's code.
struct Driver {
  using Context = void;
  using Stream = void;

  int (*push)(Context*) = find<int(Context*)>("cuCtxPushCurrent_v2");
  int (*pop)(Context**) = find<int(Context**)>("cuCtxPopCurrent_v2");
  int (*wait_for_context)() = find<int()>("cuCtxSynchronize");
  int (*wait_for_stream)(Stream*) = find<int(Stream*)>("cuStreamSynchronize");
  int (*free)(Address) = find<int(Address)>("cuMemFree_v2");
  /// To, from, bytes.
  int (*copy)(Address, Address, std::size_t,
              Stream*) = find<int(Address, Address, std::size_t, Stream*)>("cuMemcpyAsync");
  /// To, the value, how often.
  int (*fill_16)(Address, std::uint16_t, std::size_t, Stream*) =
      find<int(Address, std::uint16_t, std::size_t, Stream*)>("cuMemsetD16Async");
  int (*fill_32)(Address, std::uint32_t, std::size_t, Stream*) =
      find<int(Address, std::uint32_t, std::size_t, Stream*)>("cuMemsetD32Async");
  /// To, the bytes from row to row, the value, how often in a row, rows.
  int (*fill_rows)(Address, std::size_t, std::uint32_t, std::size_t, std::size_t, Stream*) =
      find<int(Address, std::size_t, std::uint32_t, std::size_t, std::size_t, Stream*)>(
          "cuMemsetD2D32Async");
};

/// Looked up once, when a context is there, and so a driver.
const Driver& driver() {
  static const Driver all;
  return all;
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
    check(what, driver_.push(context));
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() {
    void* popped = nullptr;
    driver_.pop(&popped);
    halide_cuda_release_context(nullptr);
  }

 private:
  const Driver& driver_ = driver();
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
  const Current pushed(what);
  check(what, driver().copy(std::bit_cast<Address>(to), std::bit_cast<Address>(from), bytes,
                            current.stream));
}

/// A row of one word for each value, once for its lower and once for its upper word.
void fill_doubles(const char* what, Address to, std::uint64_t value, std::size_t count) {
  const auto lower = static_cast<std::uint32_t>(value);
  const auto upper = static_cast<std::uint32_t>(value >> 32);
  check(what, driver().fill_rows(to, sizeof(value), lower, 1, count, current.stream));
  check(what,
        driver().fill_rows(to + sizeof(lower), sizeof(value), upper, 1, count, current.stream));
}

template <class Bits>
Bits bits_at(const void* value) {
  Bits bits{};
  std::memcpy(&bits, value, sizeof(bits));
  return bits;
}

void fill(const char* what, const void* to, const void* value, std::size_t size,
          std::size_t count) {
  const Current pushed(what);
  const auto address = std::bit_cast<Address>(to);
  if (size == sizeof(std::uint16_t)) {
    check(what, driver().fill_16(address, bits_at<std::uint16_t>(value), count, current.stream));
  } else if (size == sizeof(std::uint32_t)) {
    check(what, driver().fill_32(address, bits_at<std::uint32_t>(value), count, current.stream));
  } else if (bits_at<std::uint64_t>(value) == 0) {
    check(what, driver().fill_32(address, 0, 2 * count, current.stream));
  } else {
    fill_doubles(what, address, bits_at<std::uint64_t>(value), count);
  }
}

void wait(const char* what) {
  const Current pushed(what);
  check(what, driver().wait_for_stream(current.stream));
}

void free(std::uint64_t address) {
  const Current pushed("cuMemFree");
  check("cuMemFree", driver().free(address));
}

/// Gives back what is kept in the guard's context, as far as that goes if it has failed.
void give_back(const char* what) {
  int code = 0;
  {
    const Current pushed(what);
    code = driver().wait_for_context();
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

void fill(const char* /*what*/, const void* /*to*/, const void* /*value*/, std::size_t /*size*/,
          std::size_t /*count*/) {}

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

void fill_in_stream(const char* what, const void* to, const void* value, std::size_t size,
                    std::size_t count) {
  cuda::fill(what, to, value, size, count);
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
