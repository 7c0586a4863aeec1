#pragma once

#include <functional>

#include "layout.h"

namespace halnorm::algorithm {

/// How many values enter one sum in the data's own precision before double takes over: a block's
/// sums stay within a few rounding errors of exact because each of its partial sums is short.
struct BlockSizes {
  int lanes;         ///< NCL: interleaved partial sums of a block, a multiple of the vector width;
                     ///< NLC: rows in one partial sum
  int row_length;    ///< NCL: a longer row is cut here
  int block_values;  ///< rows are grouped until a block holds about this many values
  int max_rows;      ///< and never more: one lane may have to add them all
};

/// The data cut into blocks: (jl, jn) numbers them along L and along N.
struct BlockGrid {
  Domain domain;
  int lanes = 1;
  Halide::Expr row_length, rows;  ///< a full block's extents; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  BlockGrid() = default;
  BlockGrid(const Domain& domain, const BlockSizes& sizes);

  [[nodiscard]] Halide::Expr first_l(const Halide::Expr& jl) const { return jl * row_length; }
  [[nodiscard]] Halide::Expr first_n(const Halide::Expr& jn) const { return jn * rows; }
  /// Row r of a group; r counts rows that exist.
  [[nodiscard]] Halide::Expr row(const Halide::Expr& jn, const Halide::Expr& r) const;
  [[nodiscard]] Halide::Expr length_at(const Halide::Expr& jl) const;
  [[nodiscard]] Halide::Expr rows_at(const Halide::Expr& jn) const;
  /// Values per channel in block (jl, jn), and in all the blocks before it; double.
  [[nodiscard]] Halide::Expr size(const Halide::Expr& jl, const Halide::Expr& jn) const;
  [[nodiscard]] Halide::Expr before(const Halide::Expr& jl, const Halide::Expr& jn) const;
};

/// One element and the block it belongs to.
struct Place {
  Halide::Expr l, c, n, jl, jn;
};

/// Two sums per channel over each block. The order of the additions is fixed by the extents alone,
/// so that the result does not depend on who computes which block.
struct BlockSums {
  Halide::Var u{"u"}, c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func lanes{"lanes"};  ///< (u, c, jl, jn): partial sums of a block
  Halide::Func sums{"sums"};    ///< (c, jl, jn)
  Halide::RDom full, tail;      ///< NCL: the whole vectors of a block, and the rest of its rows
  Halide::RDom across;          ///< the partial sums of a block
  Halide::RDom down;            ///< NLC: the rows of a partial sum
};

using Terms = std::function<Halide::Tuple(const Place&)>;
BlockSums block_sums(const BlockGrid& grid, const Terms& terms);

/// Two values per channel, made of its blocks one after another in a fixed order.
struct Reduction {
  BlockGrid grid;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};    ///< (c, jl, jn): subtracted from the block's values, if defined
  Halide::RDom sample;            ///< the values of a block that make its shift
  BlockSums part;                 ///< what is summed over each block, in the accumulator's type
  Halide::Func block{"block"};    ///< (c, jl, jn): a block's own pair, double
  Halide::RDom order;             ///< the blocks, in the order in which they enter
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the pair that is wanted, if it is not merged itself
};

/// The type in which a block's values are added.
Halide::Type accumulator_of(const Halide::Type& data);

}  // namespace halnorm::algorithm
