#pragma once

#include "plan/fold.h"
#include "plan/view.h"

/// @file
/// Data beyond the caches. A store into a line that no cache holds reads the line first, which
/// costs as much again as the store: output goes past the caches (decision 013). Memory answers
/// late: input is fetched ahead (decision 015).

namespace halnorm::HALNORM_ABI::detail {

/// Whether a call on such data leaves nothing of its output in a CPU's caches anyway, and there is
/// a kernel with streaming stores for such an output.
bool should_stream(const Views& data);

/// Whether a kernel that also computes sums gains by it: of data that should_stream() says so of.
bool should_stream_with_sums(const Views& data) noexcept;

/// Whether an operation that only reads reads so much that it comes from memory, and there is a
/// kernel that prefetches it. Kernels that should_stream() is asked for prefetch too.
bool should_fetch(const Rows& operation, const Views& data);

/// How output that goes past the caches is folded: short rows of L as find_fold_for_sums() says,
/// and (N, C) as rows that are long, and start where lines of the caches do.
std::optional<Fold> find_streaming_fold(const Views& data) noexcept;

/// What the kernels with streaming stores want of their output; its rows may start anywhere.
bool starts_at_line(const View& v) noexcept;

/// What was stored so is there for every thread that is told of it from here on.
void finish_streaming() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
