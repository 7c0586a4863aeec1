#pragma once

#include <cstdint>

#include "halnorm/dtype.h"
#include "halnorm/tensor.h"

/// @file
/// Elements in host memory that are a constant number of elements apart. These functions allocate
/// nothing and cannot fail, so that tensors that are written together are all written.

namespace halnorm::HALNORM_ABI::detail {

struct Row {
  DType dtype;
  void* data;
  std::int64_t step;
};

/// The elements of a tensor of at most one axis.
Row row_of(const Tensor& values) noexcept;

/// to = from, rounded once.
void convert_row(const Row& to, const Row& from, std::int64_t count) noexcept;

/// sum += delta, both of one dtype. Added in double: one rounding, as if in the dtype.
void add_row(const Row& sum, const Row& delta, std::int64_t count) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
