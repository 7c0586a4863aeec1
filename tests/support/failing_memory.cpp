#include "support/failing_memory.h"

#include <HalideRuntime.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<int> until_failure{0};  ///< 0 while all is well
std::atomic<bool> goes_on{false};
std::atomic<bool> kernels_fail{false};

bool fails() {
  int left = until_failure.load();
  while (left > 0) {
    // The last one stays where it is if failures go on.
    const int next = left == 1 && goes_on.load() ? 1 : left - 1;
    if (until_failure.compare_exchange_weak(left, next)) {
      return left == 1;
    }
  }
  return false;
}

void* allocate_or_null(std::size_t bytes) noexcept {
  return fails() ? nullptr : std::malloc(bytes);
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

}  // namespace

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
  halide_set_custom_malloc(&allocate_for_kernel);
  halide_set_custom_free(&halide_default_free);
  goes_on.store(mode == Mode::on);
  until_failure.store(nth);
}

From::~From() { until_failure.store(0); }

InKernels::InKernels() {
  halide_set_custom_malloc(&allocate_for_kernel);
  halide_set_custom_free(&halide_default_free);
  kernels_fail.store(true);
}

InKernels::~InKernels() { kernels_fail.store(false); }

}  // namespace failing_memory
