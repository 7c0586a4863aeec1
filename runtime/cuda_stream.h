#pragma once

#include <cstddef>

namespace halnorm::detail {

/// The CUcontext of this thread's cuda::StreamGuard, or null.
void* guarded_context() noexcept;

/// Halide's own copies know nothing of streams. Copies bytes between addresses of the host or of
/// CUDA devices, in the guard's stream. With `wait`, which memory of the host needs, returns when
/// all that is in the stream is done.
/// @throws DeviceError, named after `what`, if the driver refuses.
void copy_in_stream(const char* what, void* to, const void* from, std::size_t bytes, bool wait);

}  // namespace halnorm::detail
