#pragma once

#include "block_sums.h"

namespace halnorm::algorithm {

/// Mean and sum of squared deviations of each channel: merged is (c): Tuple(mean, m2).
/// Chan, Golub and LeVeque 1979: each block gives its own mean and sum of squared deviations, and
/// the blocks are merged one after another in double.
Reduction moments(const Halide::Func& x, const Domain& domain, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
