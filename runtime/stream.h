#pragma once

#include <functional>
#include <initializer_list>

#include "view.h"

/// @file
/// Output that goes past the caches. A store into a line that no cache holds reads the line first;
/// beyond the last-level cache that costs as much again as the store. Halide 21 has no streaming
/// stores, so a kernel writes a tile that stays in cache, and the tile is moved from there.

namespace halnorm::detail {

/// Whether a call that touches these leaves nothing of its output in a CPU's caches anyway.
bool should_stream(std::initializer_list<const View*> views) noexcept;

/// Produces `out` tile by tile, in parallel: write(box, tile) fills the tile with that box of it.
/// It reads the same box of `inputs`, which is fetched ahead while the tile before is stored:
/// otherwise memory would be read and written by turns.
void stream(const View& out, std::initializer_list<const View*> inputs,
            const std::function<void(const Box&, const View& tile)>& write);

}  // namespace halnorm::detail
