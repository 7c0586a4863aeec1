#pragma once

#include <cstddef>

#include "base/strides.h"
#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// The addresses of a non-empty block's elements.
ByteRange byte_range(const void* first, const Shape& shape, const Strides& strides,
                     std::size_t element_size) noexcept;

/// Whether two tensors may share a byte. The test is exact for views of one contiguous block, which
/// may interleave (for example the two halves of each row). For others it compares ranges of
/// addresses.
bool may_overlap(const Tensor& a, const Tensor& b);

/// Whether no two elements share memory.
bool elements_apart(const Tensor& t);

}  // namespace halnorm::HALNORM_ABI::detail
