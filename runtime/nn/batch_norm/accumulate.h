#pragma once

#include <vector>

#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// Adds to the gradients of a layer's two parameters: to both or, if memory runs out, to neither.
/// Parameters that are undefined or do not require a gradient are skipped. The others have the
/// shape (C) of the summands.
void accumulate_both(const Parameter& weight, const Tensor& dweight, const Parameter& bias,
                     const Tensor& dbias);

/// A gradient to add to a parameter, which may be one that accumulate_both() skips.
struct Summand {
  Parameter parameter;
  Tensor delta;
};
/// Adds all of them or, if memory runs out, none.
void accumulate_together(const std::vector<Summand>& summands);

}  // namespace halnorm::HALNORM_ABI::detail
