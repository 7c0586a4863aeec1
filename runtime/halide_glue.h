#pragma once

#include <HalideRuntime.h>

#include <array>
#include <cstdint>
#include <initializer_list>

#include "kernel_table.h"

/// @file
/// The one place that talks to Halide's runtime.

namespace halnorm::detail {

/// A buffer descriptor over memory that someone else owns, made on the stack.
class KernelBuffer {
 public:
  struct Axis {
    std::int64_t extent, stride;
  };

  /// Axes innermost first; extents and strides fit in 32 bits.
  KernelBuffer(void* data, DType dtype, std::initializer_list<Axis> axes);
  KernelBuffer(const KernelBuffer&) = delete;
  KernelBuffer& operator=(const KernelBuffer&) = delete;

  halide_buffer_t* get() noexcept { return &buffer_; }

 private:
  std::array<halide_dimension_t, 3> axes_;
  halide_buffer_t buffer_{};
};

/// Runs a kernel. Arguments in the generator's order: KernelBuffer::get() or a scalar's address.
/// @throws KernelError, named after `function`, with Halide's message.
void run_kernel(const char* function, const Kernel& kernel,
                std::initializer_list<const void*> arguments);

}  // namespace halnorm::detail
