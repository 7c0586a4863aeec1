#pragma once

#include <functional>

#include "block_sums.h"

namespace halnorm::algorithm {

/// The pair of two samples together: `so_far` is that of `count` values, `next` that of `size`
/// more. Counts are double, like the pairs.
using Merge = std::function<Halide::Tuple(const Halide::Tuple& so_far, const Halide::Tuple& next,
                                          const Halide::Expr& count, const Halide::Expr& size)>;

/// Defines merged: the blocks' pairs, one after another; or, with gatherers, those of runs of
/// neighbouring blocks, which can be merged side by side. The order is fixed by the extents alone.
void merge_blocks(Reduction& r, const BlockSizes& sizes, const Merge& merge);

}  // namespace halnorm::algorithm
