#pragma once

#include "block_sums.h"

namespace halnorm::algorithm {

/// Mean and sum of squared deviations of each channel: merged is (c): Tuple(mean, m2).
/// With v = x - shift for a value of the channel, mean = shift + sum(v) / n and m2 = sum(v^2) -
/// sum(v)^2 / n (Chan, Golub and LeVeque 1983, shifted data): sums of short blocks, added in
/// double.
Reduction moments(const Halide::Func& x, const Domain& domain, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
