#pragma once

#include "halnorm/tensor.h"

namespace halnorm::detail {

/// Adds to the gradients of a layer's two parameters: to both or, if memory runs out, to neither.
/// Parameters that are undefined or do not require a gradient are skipped. The others have the
/// shape (C) of the summands.
void accumulate_both(const Parameter& weight, const Tensor& dweight, const Parameter& bias,
                     const Tensor& dbias);

}  // namespace halnorm::detail
