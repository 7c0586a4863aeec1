#pragma once

#include "kernels/table.h"
#include "plan/machine.h"
#include "plan/view.h"

/// @file
/// The choice among an operation's kernels: the variant for few values, for channels of few values,
/// for data beyond the caches, or for all others.

namespace halnorm::HALNORM_ABI::detail {

/// Whether the operation adds up such float32 data in double: the roundings of float32 would show
/// in the statistics of a channel of few values. Only the operation and the shape decide.
bool sums_in_double(const Rows& operation, const View& x) noexcept;

/// The kernel for such data on its device. Few values have a variant of their own: on devices few
/// per channel, which take one launch; on CPUs few in all, channels innermost, which take one loop.
/// With `nontemporal` the variant for data beyond the caches comes first, if there is one.
/// Null if the operation has no kernel for the data: on CPUs, with channels innermost, statistics
/// and output take one kernel only for few values.
const Kernel* find_kernel_for(const Machine& machine, const Rows& operation, const View& x,
                              bool nontemporal = false);

}  // namespace halnorm::HALNORM_ABI::detail
