#pragma once

#include "summation.h"

namespace halnorm::algorithm {

/// Mean and sum of squared deviations of each channel: merged is (c): Tuple(mean, m2).
/// With v = x - shift for a value of the channel, mean = shift + sum(v) / n and m2 = sum(v^2) -
/// sum(v)^2 / n (Chan, Golub and LeVeque 1983, shifted data): sums of short blocks, added in
/// double.
Reduction moments(const Halide::Func& x, std::unique_ptr<Summation> summation);

}  // namespace halnorm::algorithm
