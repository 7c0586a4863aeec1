#pragma once

#include <functional>
#include <vector>

#include "cross_warp.h"
#include "layout.h"

namespace halnorm::algorithm {

/// Devices: the thread grid that sums a block, at most `warps` warps of `width` threads. In
/// NCL the threads are side by side along a row, or, if the row has fewer values, in several rows.
/// In NLC each thread reads the rows of one channel.
struct ThreadGrid {
  int width = 1, warps = 0;   ///< 0 warps: no thread grid
  int unroll = 1;             ///< loads of a thread that are in flight at once
  int piece = 1;              ///< NCL: values of one load, if rows consist of such pieces
  int channels = 1;           ///< NLC: neighbouring channels of a block
  bool warp_shuffle = false;  ///< a warp's sums are reduced by shuffles, not one by one
};

/// The block sizes: the number of values that are summed in the data's own precision before double
/// is used. A block's sums are within a few rounding errors of exact, because each partial sum is
/// short.
struct BlockSizes {
  int width = 1;         ///< NCL: of a vector; a row shorter than this is added value by value
  int lanes = 1;         ///< NCL: vectors of partial sums;
                         ///< NLC: rows that are summed before they are added to the block
  int row_length = 1;    ///< NCL: a longer row is cut at this length
  int block_values = 1;  ///< a block has rows with about this many values in all,
  int min_rows = 1;      ///< NLC: but at least this many rows,
  int max_rows = 1;      ///< and at most this many, because one lane may have to add them all
  /// NLC: up to this many channels, rows of a group are as far apart as their block
  /// allows; with more channels they are neighbours. The second limit is for sums of several
  /// tensors.
  int channels_apart = 0, channels_apart_of_several = 0;
  bool whole = false;           ///< a channel is one block, for any number of rows
  bool in_double = false;       ///< sums are double from the first addition on, for every dtype
  bool shift_by_first = false;  ///< the shift is a channel's first value, not one of its middle
  ThreadGrid threads{};         ///< devices: the thread grid of a block
  int blocks = 0;               ///< with a thread grid: the most blocks in all,
  int most_in_channel = 0;      ///< and of one channel; a block grows until both hold

  /// The sizes for sums of several tensors, which share the registers.
  [[nodiscard]] BlockSizes reading(int tensors) const;
};

/// The data cut into blocks: (jl, jn) is the index of a block along L and N.
struct BlockGrid {
  Domain domain;
  int width = 1, lanes = 1;
  bool whole = false;
  Halide::Expr far_apart;  ///< NLC: whether the rows of a group are far apart
  ThreadGrid threads;
  Halide::Expr warps;             ///< warps of the thread grid that have values
  Halide::Expr row_length, rows;  ///< extents of a full block; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  BlockGrid() = default;
  BlockGrid(const Domain& domain, const BlockSizes& sizes);

  /// NCL: values of a row that are added in one step.
  [[nodiscard]] int step() const { return width * lanes; }
  [[nodiscard]] Halide::Expr first_l(const Halide::Expr& jl) const { return jl * row_length; }
  [[nodiscard]] Halide::Expr first_n(const Halide::Expr& jn) const { return jn * rows; }
  /// NLC: the distance of a group's rows, and of the first rows of groups.
  [[nodiscard]] Halide::Expr apart(const Halide::Expr& jn) const;
  [[nodiscard]] Halide::Expr group_step() const;
  /// Row r of a group; r counts existing rows.
  [[nodiscard]] Halide::Expr row(const Halide::Expr& jn, const Halide::Expr& r) const;
  [[nodiscard]] Halide::Expr length_at(const Halide::Expr& jl) const;
  [[nodiscard]] Halide::Expr rows_at(const Halide::Expr& jn) const;
  /// NCL: whether rows consist of pieces, and the number of values in a thread's access.
  [[nodiscard]] Halide::Expr in_pieces() const;
  [[nodiscard]] Halide::Expr piece() const;
  /// The threads of a channel in a block; those side by side along a row; the rows that they cover
  /// at once.
  [[nodiscard]] Halide::Expr count() const;
  [[nodiscard]] Halide::Expr across() const { return across(row_length / piece()); }
  [[nodiscard]] Halide::Expr down() const { return down(row_length / piece()); }
  /// The same for a row of this many pieces.
  [[nodiscard]] Halide::Expr across(const Halide::Expr& pieces) const;
  [[nodiscard]] Halide::Expr down(const Halide::Expr& pieces) const;

 private:
  void cut_for_vectors(const BlockSizes& sizes);
  void cut_for_threads(const BlockSizes& sizes);
  void cut_for_threads_along_rows(const BlockSizes& sizes);
};

/// One element and the block it belongs to.
struct Place {
  Halide::Expr l, c, n, jl, jn;
  Halide::Expr counts{};  ///< if defined: false for an index beyond the data, which counts 0
  /// If defined, the loaded pieces that hold the elements of a tensor.
  std::function<Halide::Expr(const Halide::Func&)> loaded = nullptr;

  /// The element of a tensor.
  [[nodiscard]] Halide::Expr of(const Halide::Func& tensor, const Domain& domain) const {
    return loaded ? loaded(tensor) : domain.at(tensor, l, c, n);
  }

  [[nodiscard]] Halide::Expr or_zero(const Halide::Expr& value) const;
};

/// Two sums per channel over each block. The extents alone fix the order of the additions, so that
/// the result does not depend on the thread that computes a block.
struct BlockSums {
  Halide::Var w{"w"}, u{"u"}, row{"row"}, c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func lanes{"lanes"};      ///< NCL, (w, u, c, jl, jn): the partial sums of a block
  Halide::Func lane{"lane"};        ///< NCL, (w, c, jl, jn): the sums over all its vectors
  Halide::Func row_sum{"row_sum"};  ///< NCL, (row, c, jl, jn): a row that is shorter than a vector
  Halide::Func unrolled{"unrolled"};  ///< NLC, (u, c, jl, jn): the sum of a group of rows
  Halide::Func sums{"sums"};          ///< (c, jl, jn)
  Halide::RDom main;                  ///< NCL: the main loop over a block's rows
  Halide::RDom vector_tail;           ///< NCL: the vectors of a row after its last whole step
  Halide::RDom tail;  ///< NLC: the rows after the last whole group; thread grid: the last step
  Halide::RDom scalar_tail, rows;  ///< NCL: the values of rows without a whole vector
  Halide::RDom across;             ///< NCL: the values of a vector; NLC: the groups of rows

  Halide::Var g{"g"}, e{"e"}, t{"t"}, turn{"turn"}, other{"other"};
  Halide::Func path{"path"};  ///< (w, g, jl, jn): the position of a thread
  /// Loaded pieces of the tensors, (e, t, w, g, c, jl, jn, turn, other): e is the value in a piece,
  /// t the piece in a step.
  std::vector<Halide::Func> pieces;
  Halide::Func thread_sum{"thread_sum"};  ///< thread grid, (w, g, c, jl, jn): the sums of a thread
  Halide::Func shared_sum{"shared_sum"};  ///< the same in shared memory
  std::vector<Halide::Func> shuffled;     ///< by shuffles: half of a warp's sums, a quarter, ..., 4
  CrossWarpSum across_warps;              ///< the cross-warp reduction, (c, jl, jn)
};

using Terms = std::function<Halide::Tuple(const Place&)>;
BlockSums block_sums(const BlockGrid& grid, const Terms& terms);

/// Two values per channel, merged from its blocks one by one in a fixed order.
struct Reduction {
  BlockGrid grid;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};    ///< (c): subtracted from the channel's values, if defined
  bool shift_is_first = false;    ///< whether it is the channel's first value
  BlockSums part;                 ///< the sums over each block, in the accumulator's type
  Halide::Func block{"block"};    ///< (c, jl, jn): a block's pair, double
  Halide::RDom order;             ///< the blocks in the order of the merge
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the result, if it is not merged itself

  Halide::Func pivot{"pivot"};  ///< (c, jl, jn): devices: the shift, from the kernel of blocks

  Halide::Var w{"w"}, g{"g"};
  Halide::Func partial{"partial"};  ///< thread grid, (w, g, c): partial merges; if defined
  Halide::Func shared_partial{"shared_partial"};  ///< the same in shared memory
  CrossWarpSum across_warps;                      ///< (c): their cross-warp reduction
};

/// The type in which values of this data are computed.
Halide::Type accumulator_of(const Halide::Type& data);

/// The type in which the values of a block are added.
Halide::Type sum_type_of(const Halide::Type& data, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
