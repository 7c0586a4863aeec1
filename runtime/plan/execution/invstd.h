#pragma once

#include <span>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// Replaces each value by 1 / sqrt(value / count + eps): the sums of `count` squared deviations, or
/// variances with a count of 1.
void to_invstd(std::span<double> values, double count, double eps) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
