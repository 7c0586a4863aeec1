#pragma once

#include "halnorm/version.h"

/// @file
/// Work in a CUDA program's own context and stream. This header needs no header of CUDA, and
/// nothing links libcuda: halnorm loads the driver when a device is first used.

#pragma GCC visibility push(default)

/// A CUDA program's own context and stream.
namespace halnorm::HALNORM_ABI::cuda {

/// During its lifetime, the calls of this thread on CUDA tensors use the given context and enqueue
/// their work in the given stream. Only copies from or to the host wait. Guards may be nested.
///
/// Memory belongs to the context that it was allocated in. A tensor is used under a guard of the
/// context in which it was allocated or wrapped (Tensor::from_blob); another context is a
/// DeviceError. When the last handle on a tensor ends, its memory is reused in the stream in which
/// the tensor was made. Work on the tensor in other streams must be finished before.
///
///     #include <cuda.h>                                        // for CUcontext and CUstream
///     halnorm::cuda::StreamGuard guard(context, stream);
///     Tensor x = Tensor::from_blob(reinterpret_cast<void*>(device_pointer), {n, c},
///                                  DType::Float32, {}, Device::cuda());
///     layer(x, out);                                           // enqueued in stream
class StreamGuard {
 public:
  /// context is a CUcontext, stream a CUstream of that context; a null stream is the context's
  /// default stream. The stream's work must be finished before the stream is destroyed.
  /// @throws DeviceError if this build has no CUDA kernels; ValueError if context is null, or if
  ///         stream is CU_STREAM_PER_THREAD, which is a different stream on each thread.
  StreamGuard(void* context, void* stream);
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;
  ~StreamGuard();  ///< restores the previous context and stream

 private:
  void* outer_context_;
  void* outer_stream_;
};

/// Call this before you destroy a context that guards have used: it waits for the context's work,
/// unloads halnorm's kernels from it and frees cached memory. The memory of tensors that still
/// exist ends with the context.
/// @throws DeviceError if this build has no CUDA kernels or the driver reports an error; ValueError
///         if context is null.
void release(void* context);

}  // namespace halnorm::HALNORM_ABI::cuda

#pragma GCC visibility pop
