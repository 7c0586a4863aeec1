#pragma once

#include <functional>

#include "layout.h"

namespace halnorm::algorithm {

/// How many values enter one sum in the data's own precision before double takes over: a block's
/// sums stay within a few rounding errors of exact because each of its partial sums is short.
struct BlockSizes {
  int width;         ///< NCL: of a vector; a row shorter than this is added value by value
  int lanes;         ///< NCL: vectors of partial sums;
                     ///< NLC: rows that are added up before they meet the block's sums
  int row_length;    ///< NCL: a longer row is cut here
  int block_values;  ///< rows are grouped until a block holds about this many values,
  int min_rows;      ///< NLC: and not fewer,
  int max_rows;      ///< and never more: one lane may have to add them all
};

/// The data cut into blocks: (jl, jn) numbers them along L and along N.
struct BlockGrid {
  Domain domain;
  int width = 1, lanes = 1;
  Halide::Expr row_length, rows;  ///< a full block's extents; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  BlockGrid() = default;
  BlockGrid(const Domain& domain, const BlockSizes& sizes);

  /// NCL: values of a row that are added at a time.
  [[nodiscard]] int step() const { return width * lanes; }
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
  Halide::Var w{"w"}, u{"u"}, row{"row"}, c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func lanes{"lanes"};      ///< NCL, (w, u, c, jl, jn): the partial sums of a block
  Halide::Func lane{"lane"};        ///< NCL, (w, c, jl, jn): those of all its vectors
  Halide::Func row_sum{"row_sum"};  ///< NCL, (row, c, jl, jn): a row that is shorter than a vector
  Halide::Func sums{"sums"};        ///< (c, jl, jn)
  Halide::RDom full;                ///< NCL: the full steps of a block's rows
  Halide::RDom rest;                ///< NCL: the vectors that are left of each; NLC: the rows left
  Halide::RDom few, rows;  ///< NCL: the values of rows that hold no whole vector, and these
  Halide::RDom across;     ///< NCL: a vector's values; NLC: the groups of rows
};

using Terms = std::function<Halide::Tuple(const Place&)>;
BlockSums block_sums(const BlockGrid& grid, const Terms& terms);

/// Two values per channel, made of its blocks one after another in a fixed order.
struct Reduction {
  BlockGrid grid;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};    ///< (c, jl, jn): subtracted from the block's values, if defined
  BlockSums part;                 ///< what is summed over each block, in the accumulator's type
  Halide::Func block{"block"};    ///< (c, jl, jn): a block's own pair, double
  Halide::RDom order;             ///< the blocks, in the order in which they enter
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the pair that is wanted, if it is not merged itself
};

/// The type in which a block's values are added.
Halide::Type accumulator_of(const Halide::Type& data);

}  // namespace halnorm::algorithm
