#pragma once

#include <initializer_list>

#include "view.h"

/// @file
/// Output that goes past the caches. A store into a line that no cache holds reads the line first;
/// beyond the last-level cache that costs as much again as the store. See decision 013.

namespace halnorm::detail {

/// Whether a call that touches `views`, of which it writes `out`, leaves nothing of its output in a
/// CPU's caches anyway, and there is a kernel with streaming stores for such an output.
bool should_stream(const View& out, std::initializer_list<const View*> views);

/// What the kernels with streaming stores want of their output; its rows may start anywhere.
bool starts_at_line(const View& v) noexcept;

/// The operation, or its form whose stores go past the caches.
Operation form_of(Operation operation, bool streams) noexcept;

/// What was stored so is there for every thread that is told of it from here on.
void finish_streaming() noexcept;

}  // namespace halnorm::detail
