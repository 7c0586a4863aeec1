#pragma once

#include <functional>
#include <vector>

#include "layout.h"

namespace halnorm::algorithm {

/// How many values enter one sum in the data's own precision before double takes over: a block's
/// sums stay within a few rounding errors of exact because each of its partial sums is short.
struct BlockSizes {
  int width;               ///< NCL: of a vector; a row shorter than this is added value by value
  int lanes;               ///< NCL: vectors of partial sums;
                           ///< NLC: rows that are added up before they meet the block's sums
  int row_length;          ///< NCL: a longer row is cut here
  int block_values;        ///< rows are grouped until a block holds about this many values,
  int min_rows;            ///< NLC: and not fewer,
  int max_rows;            ///< and never more: one lane may have to add them all
  bool in_double = false;  ///< double from the first addition on, whatever the data's type
  int blocks = 0;     ///< if set, a block grows beyond block_values until there are about so many
  int gatherers = 1;  ///< runs of blocks that are merged side by side before they meet
  bool halving = false;  ///< NCL: a vector's partial sums are added half to half, not in a row
  bool whole = false;  ///< a channel is one block: `width` threads take its values in turn, `lanes`
                       ///< at a time each; the sizes of rows and blocks do not count
};

/// The data cut into blocks: (jl, jn) numbers them along L and along N.
struct BlockGrid {
  Domain domain;
  int width = 1, lanes = 1;
  bool halving = false, whole = false;
  Halide::Expr row_length, rows;  ///< a full block's extents; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  BlockGrid() = default;
  BlockGrid(const Domain& domain, const BlockSizes& sizes);

  /// NCL: values of a row that are added at a time; of a channel, where it is one block.
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
  Halide::Func lanes{"lanes"};  ///< NCL, (w, u, c, jl, jn): the partial sums of a block
  Halide::Func lane{"lane"};    ///< NCL, (w, c, jl, jn): those of all its vectors
  std::vector<Halide::Func>
      halves;                       ///< halving, (w, c, jl, jn): `width` sums, half as many, ..., 2
  Halide::Func row_sum{"row_sum"};  ///< NCL, (row, c, jl, jn): a row that is shorter than a vector
  Halide::Func together{"together"};  ///< NLC, (u, c, jl, jn): a group of rows
  Halide::Func run{"run_of_lanes"};   ///< whole channels, (row, c, jl, jn): a few of `lane`
  Halide::Func sums{"sums"};          ///< (c, jl, jn)
  Halide::RDom full;                  ///< NCL: the full steps of a block's rows
  Halide::RDom rest;       ///< NCL: the vectors that are left of each; NLC: the rows left
  Halide::RDom few, rows;  ///< NCL: the values of rows that hold no whole vector, and these
  Halide::RDom across;     ///< NCL: a vector's values; NLC: the groups of rows
};

using Terms = std::function<Halide::Tuple(const Place&)>;
BlockSums block_sums(const BlockGrid& grid, const Terms& terms);

/// Two values per channel, made of its blocks one after another in a fixed order.
struct Reduction {
  BlockGrid grid;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};  ///< (c, jl, jn): subtracted from the block's values, if defined
  BlockSums part;               ///< what is summed over each block, in the accumulator's type
  Halide::Func block{"block"};  ///< (c, jl, jn): a block's own pair, double
  Halide::RDom order;           ///< the blocks, in the order in which they enter
  Halide::Func gathered{"gathered"};  ///< (c, run): the pair of a run of blocks, if defined
  Halide::Var run{"run"};
  Halide::RDom runs;              ///< the runs, in the order in which they enter
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the pair that is wanted, if it is not merged itself
};

/// The type that a value of the data is computed with.
Halide::Type accumulator_of(const Halide::Type& data);

/// The type that its sums are added in.
Halide::Type sum_type_of(const Halide::Type& data, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
