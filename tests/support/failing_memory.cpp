#include "support/failing_memory.h"

#include <HalideRuntime.h>
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HALNORM_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HALNORM_SANITIZED 1
#endif
#endif

namespace {

std::atomic<int> until_failure{0};  ///< 0 while all is well
std::atomic<bool> goes_on{false};
std::atomic<bool> kernels_fail{false};
std::atomic<bool> threads_fail{false};

bool fails() {
  int left = until_failure.load();
  while (left > 0) {
    // If failures go on, the count stays at the last allocation.
    const int next = left == 1 && goes_on.load() ? 1 : left - 1;
    if (until_failure.compare_exchange_weak(left, next)) {
      if (left == 1) {
        errno = ENOMEM;
      }
      return left == 1;
    }
  }
  return false;
}

}  // namespace

// The C library's own functions have these names for programs that replace the usual ones.
#if defined(HALNORM_SANITIZED)
namespace {
void* allocate_surely(std::size_t bytes) { return std::malloc(bytes); }
}  // namespace
#else
extern "C" {
void* __libc_malloc(std::size_t bytes);                           // NOLINT
void* __libc_calloc(std::size_t count, std::size_t bytes);        // NOLINT
void* __libc_realloc(void* memory, std::size_t bytes);            // NOLINT
void* __libc_memalign(std::size_t alignment, std::size_t bytes);  // NOLINT

void* malloc(std::size_t bytes) noexcept { return fails() ? nullptr : __libc_malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_realloc(memory, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return memalign(alignment, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  void* const got = memalign(alignment, bytes);
  if (got == nullptr) {
    return ENOMEM;
  }
  *memory = got;
  return 0;
}
}
namespace {
void* allocate_surely(std::size_t bytes) { return __libc_malloc(bytes); }
}  // namespace
#endif

namespace {

void* allocate_or_null(std::size_t bytes) noexcept {
  return fails() ? nullptr : allocate_surely(bytes);
}

void* allocate(std::size_t bytes) {
  void* memory = allocate_or_null(bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void* allocate_for_kernel(void* context, std::size_t bytes) {
  return kernels_fail.load() || fails() ? nullptr : halide_default_malloc(context, bytes);
}

void replace_halides() {
  halide_set_custom_malloc(&allocate_for_kernel);
  halide_set_custom_free(&halide_default_free);
}

using Start = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
Start start_of_library() {
  static const auto found = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "pthread_create"));
  return found;
}
const Start looked_up_in_time = start_of_library();

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) noexcept {
  return threads_fail.load() || fails() ? EAGAIN
                                        : start_of_library()(thread, attributes, run, argument);
}

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate_or_null(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate_or_null(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace failing_memory {

From::From(int nth, Mode mode) {
  goes_on.store(mode == Mode::on);
  until_failure.store(nth);
}

From::~From() { until_failure.store(0); }

InKernels::InKernels() {
  replace_halides();
  kernels_fail.store(true);
}

InKernels::~InKernels() { kernels_fail.store(false); }

NoThreads::NoThreads() { threads_fail.store(true); }

NoThreads::~NoThreads() { threads_fail.store(false); }

}  // namespace failing_memory
