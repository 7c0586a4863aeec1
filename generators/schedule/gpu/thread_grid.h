#pragma once

#include "../../algorithm/summation.h"

namespace halnorm::schedule {

/// The thread grid that sums a block, at most `warps` warps of `width` threads. In NCL the threads
/// are side by side along a row, or, if the row has fewer values, in several rows. In NLC each
/// thread reads the rows of one channel.
struct ThreadGrid {
  int width = 1, warps = 0;
  int unroll = 1;             ///< loads of a thread that are in flight at once
  int piece = 1;              ///< NCL: values of one load, if rows consist of such pieces
  int channels = 1;           ///< NLC: neighbouring channels of a block
  bool warp_shuffle = false;  ///< a warp's sums are reduced by shuffles, not one by one
};

/// A block grows until all limits hold.
struct BlockLimits {
  int blocks, most_in_channel;  ///< the most blocks in all, and of one channel
  int min_values;               ///< the least values of a channel in a block
};

/// Blocks of the data and the threads of each.
struct ThreadBlocks {
  /// One block per channel.
  ThreadBlocks(const algorithm::Domain& domain, const ThreadGrid& thread_grid);
  ThreadBlocks(const algorithm::Domain& domain, const ThreadGrid& thread_grid,
               const BlockLimits& limits);

  algorithm::BlockGrid grid;
  ThreadGrid threads;
  bool whole;          ///< a channel is one block
  Halide::Expr warps;  ///< warps of a block that have values
};

/// NCL: whether rows consist of pieces, and the number of values in a thread's access.
Halide::Expr in_pieces(const ThreadBlocks& blocks);
Halide::Expr piece_of(const ThreadBlocks& blocks);

/// The threads of a channel in a block; those side by side along a row of this many pieces; the
/// rows that they cover at once.
Halide::Expr thread_count(const ThreadBlocks& blocks);
Halide::Expr threads_across(const ThreadBlocks& blocks, const Halide::Expr& pieces);
Halide::Expr threads_down(const ThreadBlocks& blocks, const Halide::Expr& pieces);

/// Division of numbers that are not negative, which takes fewer instructions.
Halide::Expr unsigned_div_up(const Halide::Expr& a, const Halide::Expr& b);

}  // namespace halnorm::schedule
