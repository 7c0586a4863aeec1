#include "thread_grid.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::Domain;
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
BlockGrid cut_along_rows(const Domain& d, const ThreadGrid& threads, const BlockLimits& limits) {
  const Expr of_channel = d.L * d.N;
  const Expr share = max(of_channel * d.C / limits.blocks, of_channel / limits.most_in_channel);
  const Expr values = max(share, limits.min_values);
  const Expr part = quotient_up(d.L, max(d.L / values, 1));
  return {d, max(min(d.L, quotient_up(part, threads.width) * threads.width), 1),
          max(quotient_up(values, max(d.L, 1)), 1)};
}

/// Whole steps of all threads, because a partial step costs as much as a whole one. Or up to a
/// sixteenth more blocks, so that a few rows do not add a step to each block.
BlockGrid cut_down_rows(const Domain& d, const ThreadGrid& threads, const BlockLimits& limits) {
  const Expr columns = quotient_up(d.C, threads.channels);
  const Expr in_channel = clamp(limits.blocks / columns, 1, limits.most_in_channel);
  const int step = threads.warps * threads.width * threads.unroll;
  const Expr share = quotient_up(d.N, in_channel) / 16 * 15;
  return {d, 1, max(quotient_up(share, step) * step, limits.min_values)};
}

/// @throws CompileError if a tuned number of threads or loads does not fit.
ThreadGrid checked(const ThreadGrid& threads) {
  if (threads.warps < 1 || threads.unroll % threads.piece != 0) {
    throw Halide::CompileError("block_threads or unroll does not suit the layout and the dtype");
  }
  return threads;
}

}  // namespace

Expr unsigned_div_up(const Expr& a, const Expr& b) {
  return cast<int>(cast<unsigned>(a + b - 1) / cast<unsigned>(b));
}

Expr in_pieces(const ThreadBlocks& blocks) {
  const int piece = blocks.threads.piece;
  return piece > 1 ? blocks.grid.domain.L % piece == 0 : Halide::Internal::const_true();
}

Expr piece_of(const ThreadBlocks& blocks) {
  return Halide::select(in_pieces(blocks), blocks.threads.piece, 1);
}

Expr thread_count(const ThreadBlocks& blocks) { return blocks.warps * blocks.threads.width; }

Expr threads_across(const ThreadBlocks& blocks, const Expr& pieces) {
  if (blocks.grid.domain.layout == Layout::NLC) {
    return 1;
  }
  // As many threads as divide the row into equal turns.
  const Expr count = thread_count(blocks);
  return clamp(unsigned_div_up(pieces, unsigned_div_up(pieces, count)), 1, count);
}

Expr threads_down(const ThreadBlocks& blocks, const Expr& pieces) {
  const Expr count = thread_count(blocks);
  return blocks.grid.domain.layout == Layout::NLC ? count
                                                  : max(count / threads_across(blocks, pieces), 1);
}

ThreadBlocks::ThreadBlocks(const Domain& d, const ThreadGrid& thread_grid)
    : grid(d), threads(checked(thread_grid)), whole(true), warps(threads.warps) {
  if (d.layout == Layout::NCL) {
    // Each thread costs as much as some values. (In NLC Halide would loop over all blocks to
    // compute the size of the shared memory.)
    const int least = threads.width * threads.unroll;
    warps = clamp(d.L * d.N / least, 1, threads.warps);
  }
}

ThreadBlocks::ThreadBlocks(const Domain& d, const ThreadGrid& thread_grid,
                           const BlockLimits& limits)
    : grid(d.layout == Layout::NCL ? cut_along_rows(d, thread_grid, limits)
                                   : cut_down_rows(d, thread_grid, limits)),
      threads(checked(thread_grid)),
      whole(false),
      warps(threads.warps) {}

}  // namespace halnorm::schedule
