#pragma once

#include "plan/view.h"

namespace halnorm::detail {

/// Whether the statistics of x are better made in boxes side by side: its channels alone are too
/// few for the threads. Depends on the shape alone, and so does the order of merging.
bool should_split(const View& x) noexcept;

/// The boxes: enough for the threads, each large enough to be worth waking one.
Boxes split_boxes(const View& x);

/// Values of box b's channels that come before it.
double count_before(const View& x, const Box& b) noexcept;

}  // namespace halnorm::detail
