#pragma once

#include "halnorm/tensor.h"

namespace halnorm::detail {

/// Whether two tensors may have a byte in common. Exact for windows cut out of one block, which may
/// interleave (the two halves of each row, say); true for others whose ranges of addresses meet.
bool may_overlap(const Tensor& a, const Tensor& b);

/// Whether each element has a place of its own.
bool elements_apart(const Tensor& t);

}  // namespace halnorm::detail
