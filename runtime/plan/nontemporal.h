#pragma once

#include "plan/fold.h"
#include "plan/machine.h"
#include "plan/view.h"

/// @file
/// Data beyond the caches. A store into a line that no cache holds reads the line first, which
/// costs as much again as the store. So the output is written by non-temporal stores (decision
/// 013). Memory answers late, so the input is prefetched (decision 015).

namespace halnorm::HALNORM_ABI::detail {

/// Whether a call on such data, which touches more bytes than `most`, leaves nothing of its output
/// in a CPU's caches, and there is a kernel that writes such an output by non-temporal stores.
bool is_beyond_caches(const Machine& machine, const Views& data, std::int64_t most);

/// The threshold of training and backward.
inline std::int64_t most_with_sums(const Machine& machine, const Views& data) noexcept {
  return data.x().layout == Layout::ncl ? machine.thresholds.nontemporal_bytes
                                        : machine.thresholds.nontemporal_bytes_of_passes;
}

/// Whether a kernel that also computes sums gains by these stores, for data beyond the caches.
bool sums_gain_beyond_caches(const Views& data) noexcept;

/// Whether an operation that writes no data reads so much that it comes from memory, and there is a
/// kernel that prefetches it. Kernels with non-temporal stores prefetch too.
bool should_prefetch(const Machine& machine, const Rows& operation, const Views& data);

/// The fold of data whose output is written by non-temporal stores: short rows of L as
/// find_fold_for_sums() folds them, and (N, C) into long rows that start at cache lines.
std::optional<Fold> find_fold_beyond_caches(const Machine& machine, const Views& data) noexcept;

/// Whether the view starts at a cache line, as an output for non-temporal stores has to. Its other
/// rows may start anywhere.
bool starts_at_line(const View& v) noexcept;

/// Makes this thread's non-temporal stores visible to every thread that learns of them afterwards.
void fence_nontemporal_stores() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
