#pragma once

#include "../../algorithm/block_sums.h"

namespace halnorm::schedule {

/// Devices: the thread grid that sums a block, at most `warps` warps of `width` threads. In NCL the
/// threads are side by side along a row, or, if the row has fewer values, in several rows. In NLC
/// each thread reads the rows of one channel.
struct ThreadGrid {
  int width = 1, warps = 0;
  int unroll = 1;             ///< loads of a thread that are in flight at once
  int piece = 1;              ///< NCL: values of one load, if rows consist of such pieces
  int channels = 1;           ///< NLC: neighbouring channels of a block
  bool warp_shuffle = false;  ///< a warp's sums are reduced by shuffles, not one by one
};

/// Sums by such threads, for BlockSizes::device; thread_sums.h has their Funcs.
std::shared_ptr<const algorithm::DeviceSums> sums_by(const ThreadGrid& threads);

/// The thread grid of a block.
const ThreadGrid& threads_of(const algorithm::BlockGrid& grid);

/// Sets the extents of the blocks for these threads.
void cut_for(const ThreadGrid& threads, algorithm::BlockGrid& grid,
             const algorithm::BlockSizes& sizes);

/// NCL: whether rows consist of pieces, and the number of values in a thread's access.
Halide::Expr in_pieces(const algorithm::BlockGrid& grid);
Halide::Expr piece_of(const algorithm::BlockGrid& grid);

/// The threads of a channel in a block; those side by side along a row of this many pieces; the
/// rows that they cover at once.
Halide::Expr thread_count(const algorithm::BlockGrid& grid);
Halide::Expr threads_across(const algorithm::BlockGrid& grid, const Halide::Expr& pieces);
Halide::Expr threads_down(const algorithm::BlockGrid& grid, const Halide::Expr& pieces);

/// Division of numbers that are not negative, which takes fewer instructions.
Halide::Expr unsigned_div_up(const Halide::Expr& a, const Halide::Expr& b);

}  // namespace halnorm::schedule
