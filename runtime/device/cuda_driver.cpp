#include "device/cuda_driver.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "device/cuda.h"
#include "device/interface.h"
#include "halnorm/error.h"
#include "kernels/call.h"

namespace halnorm::HALNORM_ABI::cuda {

using detail::guarded;

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

/// A function of the driver that Halide loaded.
template <class Signature>
Signature* find(const char* name) {
  auto* function = reinterpret_cast<Signature*>(halide_cuda_get_symbol(nullptr, name));
  if (function == nullptr) {
    throw DeviceError(std::string("CUDA's driver has no ") + name);
  }
  return function;
}

/// The functions of the driver that this file calls. Each returns CUDA's code.
struct Driver {
  using Context = void;
  using Stream = void;

  int (*push)(Context*) = find<int(Context*)>("cuCtxPushCurrent_v2");
  int (*pop)(Context**) = find<int(Context**)>("cuCtxPopCurrent_v2");
  int (*wait_for_context)() = find<int()>("cuCtxSynchronize");
  int (*wait_for_stream)(Stream*) = find<int(Stream*)>("cuStreamSynchronize");
  int (*free)(Address) = find<int(Address)>("cuMemFree_v2");
  /// Arguments: target, source, bytes.
  int (*copy)(Address, Address, std::size_t,
              Stream*) = find<int(Address, Address, std::size_t, Stream*)>("cuMemcpyAsync");
  /// Arguments: target, value, count.
  int (*fill_16)(Address, std::uint16_t, std::size_t, Stream*) =
      find<int(Address, std::uint16_t, std::size_t, Stream*)>("cuMemsetD16Async");
  int (*fill_32)(Address, std::uint32_t, std::size_t, Stream*) =
      find<int(Address, std::uint32_t, std::size_t, Stream*)>("cuMemsetD32Async");
  /// Arguments: target, bytes from row to row, value, values in a row, rows.
  int (*fill_rows)(Address, std::size_t, std::uint32_t, std::size_t, std::size_t, Stream*) =
      find<int(Address, std::size_t, std::uint32_t, std::size_t, std::size_t, Stream*)>(
          "cuMemsetD2D32Async");
};

/// The functions are looked up once. A context exists by then, and so the driver is loaded.
const Driver& driver() {
  static const Driver all;
  return all;
}

void check(const char* what, int code) {
  if (code != 0) {
    throw DeviceError(std::string(what) + ": CUDA failed with code " + std::to_string(code));
  }
}

/// Makes the guard's context, or without a guard Halide's own, the thread's during its lifetime.
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

/// Halide's own functions, for threads without a guard.
AcquireContext default_acquire = nullptr;
ReleaseContext default_release = nullptr;
GetStream default_stream = nullptr;

/// Fills the lower words of all values, then the upper ones: each word is a row of one element.
void fill_doubles(const char* what, Address to, std::uint64_t value, std::size_t count) {
  const auto lower = static_cast<std::uint32_t>(value);
  const auto upper = static_cast<std::uint32_t>(value >> 32);
  check(what, driver().fill_rows(to, sizeof(value), lower, 1, count, guarded().stream));
  check(what,
        driver().fill_rows(to + sizeof(lower), sizeof(value), upper, 1, count, guarded().stream));
}

template <class Bits>
Bits bits_at(const void* value) {
  Bits bits{};
  std::memcpy(&bits, value, sizeof(bits));
  return bits;
}

}  // namespace

void install() {
  static const bool done = [] {
    default_acquire = halide_set_cuda_acquire_context([](void* user, void** context, bool create) {
      if (guarded().context == nullptr) {
        return default_acquire(user, context, create);
      }
      *context = guarded().context;
      return 0;
    });
    default_release = halide_set_cuda_release_context(
        [](void* user) { return guarded().context == nullptr ? default_release(user) : 0; });
    default_stream = halide_set_cuda_get_stream([](void* user, void* context, void** stream) {
      if (guarded().context == nullptr) {
        return default_stream(user, context, stream);
      }
      *stream = guarded().stream;
      return 0;
    });
    return true;
  }();
  static_cast<void>(done);
}

void copy(const char* what, void* to, const void* from, std::size_t bytes) {
  const Current pushed(what);
  check(what, driver().copy(std::bit_cast<Address>(to), std::bit_cast<Address>(from), bytes,
                            guarded().stream));
}

void fill(const char* what, const void* to, const void* value, std::size_t size,
          std::size_t count) {
  const Current pushed(what);
  const auto address = std::bit_cast<Address>(to);
  if (size == sizeof(std::uint16_t)) {
    check(what, driver().fill_16(address, bits_at<std::uint16_t>(value), count, guarded().stream));
  } else if (size == sizeof(std::uint32_t)) {
    check(what, driver().fill_32(address, bits_at<std::uint32_t>(value), count, guarded().stream));
  } else if (bits_at<std::uint64_t>(value) == 0) {
    check(what, driver().fill_32(address, 0, 2 * count, guarded().stream));
  } else {
    fill_doubles(what, address, bits_at<std::uint64_t>(value), count);
  }
}

void wait(const char* what) {
  const Current pushed(what);
  check(what, driver().wait_for_stream(guarded().stream));
}

void free(std::uint64_t address) {
  const Current pushed("cuMemFree");
  check("cuMemFree", driver().free(address));
}

/// Frees everything that is kept in the guard's context, as far as possible if it has failed.
void give_back(const char* what) {
  int code = 0;
  {
    const Current pushed(what);
    code = driver().wait_for_context();
  }
  detail::forget_context(guarded().context);
  halide_device_release(nullptr, detail::interface_of(DeviceType::CUDA));
  detail::forget_message();
  check(what, code);
}

}  // namespace halnorm::HALNORM_ABI::cuda
