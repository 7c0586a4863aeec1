#include "device/cuda.h"

#include <atomic>
#include <bit>
#include <exception>
#include <utility>

#include "device/caching_allocator.h"
#include "device/cuda_driver.h"
#include "halnorm/cuda.h"
#include "halnorm/error.h"
#include "kernels/call.h"

namespace halnorm::HALNORM_ABI::cuda {

namespace {

thread_local detail::Guarded current;
std::atomic<void (*)(const void* context)> forget{nullptr};

// CU_STREAM_PER_THREAD is refused: another thread may free memory, and the same handle then means
// another stream.
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

}  // namespace halnorm::HALNORM_ABI::cuda

namespace halnorm::HALNORM_ABI::detail {

Guarded guarded() noexcept { return cuda::current; }

Under::Under(const Guarded& there) noexcept : outer_(std::exchange(cuda::current, there)) {}

Under::~Under() { cuda::current = outer_; }

void heed_guards() { cuda::install(); }

void at_release(void (*forget)(const void* context)) noexcept { cuda::forget = forget; }

void forget_context(const void* context) {
  if (auto* forget = cuda::forget.load()) {
    forget(context);
  }
  free_cached_blocks(context);
}

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
  } catch (const std::exception&) {  // a destructor is the caller, which cannot report it
    forget_message();
  }
}

void wait_for_stream(const char* what) { cuda::wait(what); }

}  // namespace halnorm::HALNORM_ABI::detail
