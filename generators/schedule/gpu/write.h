#pragma once

#include "../schedule.h"
#include "thread_grid.h"

namespace halnorm::schedule {

/// y or dx and how it is written.
struct Written : Output {
  std::vector<Halide::Expr> strides;  ///< of the rows of all data
  /// The rows of a thread. They share the values per channel, and their loads are in flight at
  /// once.
  int rows;
  int threads;          ///< of a block in a separate kernel
  int blocks;           ///< NLC: the most blocks of a separate kernel
  bool vectors = true;  ///< whether it may be computed in vectors
};

/// NCL: a separate kernel, with as many threads as it needs.
void write_rows(const Written& y);

/// Its loops over blocks of threads, in which the other Funcs of the kernel are computed.
inline const Halide::Var column{"column"};  ///< the inner one: the channels of a block

/// A kernel whose blocks of threads are those of the grid. Each reads its block of data in the
/// order of the sums, and finds the data in the caches if the sums were computed before.
void write_blocks(const Written& y, const ThreadBlocks& blocks);

/// NLC: the blocks of a separate kernel. There are few, because each computes the values per
/// channel for its threads. A block is at least as large as one step of all its threads.
ThreadBlocks columns_of(const Written& y);

/// Outputs with one value per channel, by the first blocks of each channel in y's kernel.
void write_channels(const std::vector<Halide::Func>& outputs, const Written& y,
                    const ThreadBlocks& blocks);

/// A Func of the channel that a block of threads has computed. Each thread keeps the values of its
/// channels in registers.
void give_to_threads(Halide::Func f, const Written& y);

/// Whether the rows of all data start at multiples of `size` elements and have at least that many.
Halide::Expr aligned(const std::vector<Halide::Expr>& strides, const Halide::Expr& row, int size);

}  // namespace halnorm::schedule
