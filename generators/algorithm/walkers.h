#pragma once

#include "block_sums.h"

namespace halnorm::algorithm {

/// Defines b.sums, and what leads to them, where the grid has walkers.
void sum_by_walkers(BlockSums& b, const BlockGrid& grid, const Terms& terms);

}  // namespace halnorm::algorithm
