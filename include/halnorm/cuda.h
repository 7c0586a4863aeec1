#pragma once

/// @file
/// How a CUDA program lets halnorm work in its own context and stream. Nothing here needs a header
/// of CUDA's, and nothing links libcuda: the driver is loaded when it is first used.

#pragma GCC visibility push(default)

namespace halnorm::cuda {

/// While it lives, whatever this thread asks of CUDA devices happens in the given context and is
/// put into the given stream; nothing waits for it but a copy from or to the host. Guards may be
/// nested.
///
/// Memory belongs to the context that it was allocated in: use a tensor under a guard of the
/// context that it was made under, else it is a DeviceError, or that was wrapped
/// (Tensor::from_blob). When a tensor ends, its memory is used again in the stream that it was made
/// in: what other streams do with it has to be done by then.
///
///     halnorm::cuda::StreamGuard guard(context, stream);       // CUcontext, CUstream
///     Tensor x = Tensor::from_blob(reinterpret_cast<void*>(device_pointer), {n, c},
///                                  DType::Float32, {}, Device::cuda());
///     layer(x, out);                                           // queued in stream
class StreamGuard {
 public:
  /// context is a CUcontext, stream a CUstream of it, which is done when it is destroyed; a null
  /// stream is the context's default one.
  /// @throws DeviceError if this build has no CUDA kernels, ValueError if context is null or stream
  ///         is CU_STREAM_PER_THREAD, which is another one on each thread.
  StreamGuard(void* context, void* stream);
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;
  ~StreamGuard();

 private:
  void* outer_context_;
  void* outer_stream_;
};

/// For the end of a context that guards have used, before it is destroyed: waits for it, and gives
/// back what halnorm keeps in it, compiled kernels and memory for the next ones. The memory of
/// tensors that are still there goes with the context.
/// @throws as StreamGuard does, and DeviceError if the driver refuses.
void release(void* context);

}  // namespace halnorm::cuda

#pragma GCC visibility pop
