#pragma once

#include <HalideBuffer.h>

#include <cstdint>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/tensor.h"

/// @file
/// Tensors as Halide buffers, for pipelines of the caller. This header is compiled with the
/// caller's Halide headers. halnorm's own Halide runtime is private to halnorm.

namespace halnorm::HALNORM_ABI {

namespace detail {

inline halide_type_t halide_type_of(DType dtype) {
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

inline std::int32_t halide_extent(const Tensor& tensor, std::int64_t value) {
  if (value != static_cast<std::int32_t>(value)) {
    throw ShapeError("halide_buffer: got the extent or stride " + std::to_string(value) +
                     " in a tensor of " + std::to_string(tensor.dim()) +
                     " dimensions, wanted ones that fit in 32 bits");
  }
  return static_cast<std::int32_t>(value);
}

}  // namespace detail

/// A buffer on the elements of a tensor, without a copy. The tensor, or another handle on its
/// elements, must exist as long as the buffer is used. Dimension 0 is the last axis; strides are
/// kept. The caller synchronizes writes through the buffer with other uses; Module::backward() does
/// not detect such writes.
/// @throws ValueError for an undefined tensor, DeviceError if the elements are not in host memory,
///         ShapeError if an extent or a stride does not fit in 32 bits.
[[nodiscard]] inline Halide::Runtime::Buffer<> halide_buffer(const Tensor& tensor) {
  if (!tensor.defined()) {
    throw ValueError("halide_buffer: got an undefined tensor, wanted a defined one");
  }
  if (tensor.device().type != DeviceType::CPU) {
    throw DeviceError("halide_buffer: got a tensor on " + tensor.device().str() +
                      ", wanted one on cpu");
  }
  std::vector<halide_dimension_t> dimensions;
  for (std::size_t axis = tensor.shape().size(); axis-- > 0;) {
    dimensions.emplace_back(0, detail::halide_extent(tensor, tensor.shape()[axis]),
                            detail::halide_extent(tensor, tensor.strides()[axis]));
  }
  return Halide::Runtime::Buffer<>(detail::halide_type_of(tensor.dtype()), tensor.raw_data(),
                                   static_cast<int>(dimensions.size()), dimensions.data());
}

}  // namespace halnorm::HALNORM_ABI
