#pragma once

#include <cstddef>
#include <cstdint>

namespace halnorm::detail {

/// Where a thread's calls go: the CUcontext and the CUstream of its cuda::StreamGuard. Without one
/// both are null, and it is the context that Halide makes.
struct Guarded {
  void* context = nullptr;
  void* stream = nullptr;
};
Guarded guarded() noexcept;

/// Puts this thread's calls there while it lives.
class Under {
 public:
  explicit Under(const Guarded& there) noexcept;
  Under(const Under&) = delete;
  Under& operator=(const Under&) = delete;
  ~Under();

 private:
  Guarded outer_;
};

/// Gives memory back to the driver: Halide would keep it.
void free_in_context(std::uint64_t address) noexcept;

/// Has `forget` called with each CUcontext that cuda::release() gives back.
void at_release(void (*forget)(const void* context)) noexcept;

/// Calls it, and drops the freed memory that is kept in the context.
void forget_context(const void* context);

/// Makes Halide ask for guards. Before any call of CUDA's by any thread: Halide takes the functions
/// that it asks without a lock.
void heed_guards();

/// Halide's own copies know nothing of streams. Copies bytes between addresses of the host or of
/// CUDA devices, in the guard's stream; the host's memory is free again when that was waited for.
/// @throws DeviceError, named after `what`, if the driver refuses.
void copy_in_stream(const char* what, void* to, const void* from, std::size_t bytes);

/// Puts `count` times a value of 2, 4 or 8 bytes at an address of a CUDA device, in the guard's
/// stream, or without one in the context's first. @throws DeviceError likewise.
void fill_in_stream(const char* what, const void* to, const void* value, std::size_t size,
                    std::size_t count);

/// Returns when all that is in the guard's stream is done. @throws DeviceError likewise.
void wait_for_stream(const char* what);

}  // namespace halnorm::detail
