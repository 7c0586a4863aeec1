#pragma once

#include "block_sums.h"

namespace halnorm::algorithm {

/// Defines b.sums and the Funcs before it, for a thread grid.
void sum_by_threads(BlockSums& b, const BlockGrid& grid, const Terms& terms);

}  // namespace halnorm::algorithm
