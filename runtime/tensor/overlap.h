#pragma once

#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// Whether two tensors may share a byte. The test is exact for views of one contiguous block, which
/// may interleave (for example the two halves of each row). For others it compares ranges of
/// addresses.
bool may_overlap(const Tensor& a, const Tensor& b);

/// Whether no two elements share memory.
bool elements_apart(const Tensor& t);

}  // namespace halnorm::HALNORM_ABI::detail
