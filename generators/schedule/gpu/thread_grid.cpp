#include "thread_grid.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::BlockSizes;
using algorithm::Layout;
using Halide::cast;
using Halide::clamp;
using Halide::Expr;
using Halide::max;
using Halide::min;

namespace {

/// For extents, from which Halide derives bounds; it does not follow them through casts.
Expr quotient_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

/// Cuts rows into equal parts, or joins rows, until a block has its share of values. The number of
/// blocks is limited to those that a device runs at once: one more block would take the same time
/// again.
void cut_along_rows(const ThreadGrid& threads, BlockGrid& grid, const BlockSizes& sizes) {
  const auto& [layout, L, C, N] = grid.domain;
  const Expr of_channel = L * N;
  const Expr share = max(of_channel * C / sizes.blocks, of_channel / sizes.most_in_channel);
  const Expr values = max(share, sizes.block_values);
  const Expr part = quotient_up(L, max(L / values, 1));
  grid.row_length = max(min(L, quotient_up(part, threads.width) * threads.width), 1);
  grid.rows = max(quotient_up(values, max(L, 1)), 1);
}

}  // namespace

Expr unsigned_div_up(const Expr& a, const Expr& b) {
  return cast<int>(cast<unsigned>(a + b - 1) / cast<unsigned>(b));
}

Expr in_pieces(const BlockGrid& grid) {
  const int piece = threads_of(grid).piece;
  return piece > 1 ? grid.domain.L % piece == 0 : Halide::Internal::const_true();
}

Expr piece_of(const BlockGrid& grid) {
  return Halide::select(in_pieces(grid), threads_of(grid).piece, 1);
}

Expr thread_count(const BlockGrid& grid) { return grid.warps * threads_of(grid).width; }

Expr threads_across(const BlockGrid& grid, const Expr& pieces) {
  if (grid.domain.layout == Layout::NLC) {
    return 1;
  }
  // As many threads as divide the row into equal turns.
  const Expr count = thread_count(grid);
  return clamp(unsigned_div_up(pieces, unsigned_div_up(pieces, count)), 1, count);
}

Expr threads_down(const BlockGrid& grid, const Expr& pieces) {
  const Expr count = thread_count(grid);
  return grid.domain.layout == Layout::NLC ? count : max(count / threads_across(grid, pieces), 1);
}

void cut_for(const ThreadGrid& threads, BlockGrid& grid, const BlockSizes& sizes) {
  const auto& [layout, L, C, N] = grid.domain;
  const bool along_rows = layout == Layout::NCL;
  grid.warps = threads.warps;
  if (sizes.whole) {
    grid.row_length = L;
    grid.rows = N;
    if (along_rows) {
      // Each thread costs as much as some values. (In NLC Halide would loop over all blocks to
      // compute the size of the shared memory.)
      const int least = threads.width * threads.unroll;
      grid.warps = clamp(L * N / least, 1, threads.warps);
    }
  } else if (along_rows) {
    cut_along_rows(threads, grid, sizes);
  } else {
    const Expr columns = quotient_up(C, threads.channels);
    const Expr in_channel = clamp(sizes.blocks / columns, 1, sizes.most_in_channel);
    grid.row_length = 1;
    // Whole steps of all threads, because a partial step costs as much as a whole one. Or up to a
    // sixteenth more blocks, so that a few rows do not add a step to each block.
    const int step = threads.warps * threads.width * threads.unroll;
    const Expr share = quotient_up(N, in_channel) / 16 * 15;
    grid.rows = max(quotient_up(share, step) * step, sizes.min_rows);
  }
}

}  // namespace halnorm::schedule
