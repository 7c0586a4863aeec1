#pragma once

#include "schedule.h"

namespace halnorm::schedule {

/// y or dx as a schedule writes it.
struct Written {
  Halide::Func f;
  Halide::Var l, c, n;
  algorithm::Domain domain;
  Halide::Type data;                  ///< what it is computed from, and is
  std::vector<Halide::Expr> strides;  ///< of the rows of all data
  bool vectors = true;                ///< whether it may be computed in vectors
  /// Rows of a thread, which share what it has to know of its channels, and whose loads are on
  /// their way together.
  int rows = 4;
};

/// NCL: a kernel of its own, of as many threads as there is to do.
void write_rows(const Written& y);

/// Its loops over blocks of threads, in which the rest of a kernel is computed.
inline const Halide::Var column{"column"};  ///< the inner one: the channels of a block

/// A kernel whose blocks of threads are those of the grid: each walks its block of data as it is
/// walked for its sums, and finds it in the caches if it was.
void write_blocks(const Written& y, const algorithm::BlockGrid& grid);

/// NLC: the blocks of a kernel of its own. They are few, for each has to make what its threads know
/// of their channels, and no smaller than what all its threads take in one turn.
algorithm::BlockGrid columns_of(const Written& y);

/// Outputs with one value per channel, by the first blocks of each channel in y's kernel.
void write_channels(const std::vector<Halide::Func>& outputs, const Written& y,
                    const algorithm::BlockGrid& grid);

/// A function of a channel that a block of threads has made: each thread keeps that of its channels
/// in registers.
void give_to_threads(Halide::Func f, const Written& y);

/// Whether rows of all the data start at multiples of `size` elements, and hold that many.
Halide::Expr aligned(const std::vector<Halide::Expr>& strides, const Halide::Expr& row, int size);

}  // namespace halnorm::schedule
