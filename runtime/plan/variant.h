#pragma once

#include "kernels/table.h"
#include "plan/view.h"

/// @file
/// The choice among an operation's kernels: the variant for few values, for channels of few values,
/// or for all others. Data beyond the caches is nontemporal.h's.

namespace halnorm::detail {

/// Whether float32 sums of such data are added up in double: where a channel has few values, their
/// roundings would show in its statistics. The shape alone decides.
bool sums_in_double(const View& x) noexcept;

/// The kernel for such data, where it lies. Few values have a form of their own where it is faster:
/// on devices few per channel, which take one launch; on the CPU few in all, channels innermost,
/// which take one loop.
const Kernel& kernel_for(const Rows& operation, const View& x);

}  // namespace halnorm::detail
