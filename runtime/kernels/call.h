#pragma once

#include <HalideRuntime.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "kernels/table.h"

/// @file
/// The call of a kernel: its buffers, and the errors of Halide's runtime.

namespace halnorm::HALNORM_ABI::detail {

/// Device memory, for a kernel's buffer.
class KernelMemory {
 public:
  KernelMemory(const KernelMemory&) = delete;
  KernelMemory& operator=(const KernelMemory&) = delete;

  /// Sets the buffer's start to an address in this memory.
  virtual void place(halide_buffer_t& buffer, const void* address) const noexcept = 0;

 protected:
  KernelMemory() = default;
  ~KernelMemory() = default;
};

/// Halide's name of a dtype.
inline halide_type_t halide_type(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float16:
      return {halide_type_float, 16};
    case DType::BFloat16:
      return {halide_type_bfloat, 16};
    case DType::Float32:
      return {halide_type_float, 32};
    case DType::Float64:
      return {halide_type_float, 64};
    case DType::Int64:
      break;
  }
  return {halide_type_int, 64};
}

/// A buffer descriptor on the stack, for memory that it does not own.
class KernelBuffer {
 public:
  struct Axis {
    std::int64_t extent, stride;
  };

  /// Axes innermost first; extents and strides fit in 32 bits. `memory` is null for the host.
  KernelBuffer(void* data, DType dtype, std::initializer_list<Axis> axes,
               const KernelMemory* memory = nullptr) {
    halide_dimension_t* next = axes_.data();
    for (const Axis& axis : axes) {
      *next++ = {0, static_cast<std::int32_t>(axis.extent), static_cast<std::int32_t>(axis.stride)};
    }
    buffer_.dimensions = static_cast<std::int32_t>(axes.size());
    buffer_.dim = axes_.data();
    if (memory != nullptr) {
      memory->place(buffer_, data);
      return;
    }
    buffer_.type = halide_type(dtype);
    buffer_.host = static_cast<std::uint8_t*>(data);
  }
  KernelBuffer(const KernelBuffer&) = delete;
  KernelBuffer& operator=(const KernelBuffer&) = delete;

  halide_buffer_t* get() noexcept { return &buffer_; }

 private:
  std::array<halide_dimension_t, 3> axes_;
  halide_buffer_t buffer_{};
};

/// Sets the handlers of Halide's runtime, so that errors are reported instead of aborting.
void prepare_runtime();

inline constexpr std::size_t most_arguments = 16;

/// Runs a kernel. Arguments in the generator's order: KernelBuffer::get() or a scalar's address.
/// @throws KernelError that names `function` and has Halide's message.
void run_kernel(const char* function, const Kernel& kernel, std::span<const void* const> arguments);

}  // namespace halnorm::HALNORM_ABI::detail
