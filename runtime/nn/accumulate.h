#pragma once

#include "halnorm/tensor.h"

namespace halnorm::detail {

/// Adds to the gradients of a layer's two parameters, to both or, if memory runs out, to neither.
/// Parameters that are undefined or take no gradient are left alone; the others have the shape (C)
/// of what is added.
void accumulate_both(const Parameter& weight, const Tensor& dweight, const Parameter& bias,
                     const Tensor& dbias);

}  // namespace halnorm::detail
