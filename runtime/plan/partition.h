#pragma once

#include "plan/view.h"

namespace halnorm::HALNORM_ABI::detail {

/// Whether the statistics of x are computed in boxes side by side, because x has fewer channels
/// than there may be threads. The shape alone decides, and so the order of merging depends on
/// nothing else.
bool should_split(const View& x) noexcept;

/// The boxes: enough for the threads, each large enough to be worth waking one.
Boxes split_boxes(const View& x);

/// The number of values, in each channel of box b, that are before the box.
double count_before(const View& x, const Box& b) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
