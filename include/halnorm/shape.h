#pragma once

#include <cstdint>
#include <vector>

#include "halnorm/version.h"

/// @file
/// Shapes of tensors.

namespace halnorm::HALNORM_ABI {

/// Extents, outermost first: {N, C} or {N, C, L}. {} is a 0-d tensor with one element.
using Shape = std::vector<std::int64_t>;

}  // namespace halnorm::HALNORM_ABI
