#pragma once

#include <cstddef>
#include <cstdint>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// The CUcontext and the CUstream of a thread's cuda::StreamGuard. Without a guard both are null,
/// and calls use the context that Halide makes.
struct Guarded {
  void* context = nullptr;
  void* stream = nullptr;
};
Guarded guarded() noexcept;

/// Sets context and stream of this thread during its lifetime.
class Under {
 public:
  explicit Under(const Guarded& there) noexcept;
  Under(const Under&) = delete;
  Under& operator=(const Under&) = delete;
  ~Under();

 private:
  Guarded outer_;
};

/// Frees memory of the driver; Halide would keep it.
void free_in_context(std::uint64_t address) noexcept;

/// Registers `forget`, which is called with each CUcontext of cuda::release().
void at_release(void (*forget)(const void* context)) noexcept;

/// Calls the registered function, and frees the cached memory of the context.
void forget_context(const void* context);

/// Makes Halide use the guards. To be called before any thread uses CUDA, because Halide reads the
/// functions for it without a lock.
void heed_guards();

/// Copies bytes between addresses of the host or of CUDA devices, in the guard's stream; Halide's
/// own copies do not use it. Host memory is in use until the caller has waited for the stream.
/// @throws DeviceError that names `what`, if the driver reports an error.
void copy_in_stream(const char* what, void* to, const void* from, std::size_t bytes);

/// Writes a value of 2, 4 or 8 bytes `count` times to an address of a CUDA device, in the guard's
/// stream, or without a guard in the default stream. @throws as copy_in_stream().
void fill_in_stream(const char* what, const void* to, const void* value, std::size_t size,
                    std::size_t count);

/// Waits until the guard's stream is empty. @throws as copy_in_stream().
void wait_for_stream(const char* what);

}  // namespace halnorm::HALNORM_ABI::detail
