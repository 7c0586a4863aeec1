#pragma once

#include <functional>

#include "block_sums.h"

namespace halnorm::algorithm {

/// The pair of two samples together: `so_far` is that of `count` values, `next` that of `size`
/// more. Counts are double, like the pairs.
using Merge = std::function<Halide::Tuple(const Halide::Tuple& so_far, const Halide::Tuple& next,
                                          const Halide::Expr& count, const Halide::Expr& size)>;

/// Defines merged: the blocks' pairs, one after another, in an order fixed by the extents alone.
void merge_blocks(Reduction& r, const Merge& merge);

/// What a block's pair, of `size` values, adds to a sum of all blocks.
using Share = std::function<Halide::Tuple(const Halide::Tuple& block, const Halide::Expr& size)>;

/// Sums over all blocks of a channel, by as many walkers as a block has, who each take every so
/// manieth one. Returns the sum, (c).
Halide::Func gather_blocks(Reduction& r, const Share& share);

}  // namespace halnorm::algorithm
