#pragma once

#include "kernels/table.h"
#include "plan/view.h"

/// @file
/// The choice among an operation's kernels: the variant for few values, for channels of few values,
/// or for all others. Data beyond the caches is nontemporal.h's.

namespace halnorm::HALNORM_ABI::detail {

/// Whether float32 sums of such data are added up in double: where a channel has few values, their
/// roundings would show in its statistics. The shape alone decides.
bool sums_in_double(const View& x) noexcept;

/// The kernel for such data on its device. Few values have a variant of their own: on devices few
/// per channel, which take one launch; on CPUs few in all, channels innermost, which take one loop.
/// Null if the operation has no kernel for the data: on CPUs, with channels innermost, statistics
/// and output take one kernel only for few values.
const Kernel* find_kernel_for(const Rows& operation, const View& x);

/// The same, of an operation that has a kernel for the data.
const Kernel& kernel_for(const Rows& operation, const View& x);

}  // namespace halnorm::HALNORM_ABI::detail
