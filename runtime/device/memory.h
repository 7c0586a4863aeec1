#pragma once

#include <HalideRuntime.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/strides.h"
#include "base/write_count.h"
#include "device/caching_allocator.h"
#include "device/opencl.h"
#include "halnorm/device.h"
#include "halnorm/dtype.h"
#include "kernels/call.h"

/// @file
/// Memory on a CUDA or OpenCL device, through Halide's runtime, which loads a driver at its first
/// use.

namespace halnorm::HALNORM_ABI::detail {

/// One allocation on a device, owned or wrapped.
class DeviceMemory final : public KernelMemory {
 public:
  /// `elements` of uninitialized memory. @throws DeviceError, ShapeError for more than 2^31 - 1.
  static std::shared_ptr<const DeviceMemory> allocate(const char* function, Device device,
                                                      std::int64_t elements, DType dtype);
  /// Memory that the caller owns: a CUdeviceptr, or a cl_mem. @throws DeviceError, ShapeError for
  /// more than 2^31 - 1 elements, ValueError for a CUdeviceptr between elements.
  static std::shared_ptr<const DeviceMemory> wrap(const char* function, Device device, void* handle,
                                                  std::int64_t elements, DType dtype);
  ~DeviceMemory();

  /// The first element's address on a CUDA device. On OpenCL, which has no addresses, a number from
  /// a range that is disjoint from all other allocations, so that overlaps are detected the same
  /// way.
  [[nodiscard]] std::byte* base() const noexcept { return base_; }
  [[nodiscard]] Device device() const noexcept { return device_; }
  [[nodiscard]] WriteCount& writes() const noexcept { return writes_; }

  /// @throws DeviceError that names `function` and a tensor, if this thread uses another CUDA
  /// context than that of the allocation. The context of wrapped memory is not known.
  void require_context(const char* function, const char* name) const;

  /// Whether a kernel accepts a tensor that starts at this address. On CUDA it has to be a multiple
  /// of 16 bytes, because kernels read rows in vectors. On OpenCL it has to be the start of the
  /// allocation, because the alignment of parts differs among devices.
  [[nodiscard]] bool can_start_at(const void* address) const noexcept;
  /// The same for a tensor of one value per channel, which is not read in vectors.
  [[nodiscard]] bool can_hold_channels_at(const void* address) const noexcept;

  /// The type of a dtype in device kernels: float16 and bfloat16 are 16-bit integers.
  [[nodiscard]] static halide_type_t type_of(DType dtype) noexcept;
  /// Sets the start of a kernel's buffer to an address of this memory.
  void place(halide_buffer_t& buffer, const void* address) const noexcept override;

  /// Copies `elements` from or to host memory, and waits for it.
  void read(void* host, const void* address, std::int64_t elements) const;
  void write(const void* host, const void* address, std::int64_t elements) const;
  /// Writes the elements, and nothing between them; source and target have the same strides.
  void write(const void* host, const void* address, const std::vector<Axis>& axes) const;
  /// Writes one value of the dtype to `elements` elements, without waiting.
  void fill(const void* address, std::int64_t elements, const void* value) const;
  /// Copies from other memory of the same device and dtype, without waiting.
  void copy(const void* to, const DeviceMemory& source, const void* from,
            std::int64_t elements) const;

 private:
  DeviceMemory(Device device, std::int64_t elements, DType dtype);
  class Part;
  void write_in_stream(const void* host, const void* address, std::vector<Axis> axes) const;
  /// Whether a copy must go into the stream of a cuda::StreamGuard.
  [[nodiscard]] bool is_in_stream() const noexcept;
  [[nodiscard]] std::size_t bytes_of(std::int64_t elements) const noexcept;
  [[nodiscard]] ClPart part_at(const void* address) const noexcept;

  Device device_;
  DType dtype_;
  bool owned_ = false;
  DeviceBlock block_;  ///< of owned memory
  halide_dimension_t axis_;
  halide_buffer_t buffer_{};
  std::byte* base_ = nullptr;
  mutable WriteCount writes_;
};

}  // namespace halnorm::HALNORM_ABI::detail
