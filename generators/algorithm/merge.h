#pragma once

#include "block_sums.h"

namespace halnorm::algorithm {

/// Defines merged: the sum of a channel's blocks, added one by one in an order that the extents
/// alone decide.
void merge_blocks(Reduction& r);

}  // namespace halnorm::algorithm
