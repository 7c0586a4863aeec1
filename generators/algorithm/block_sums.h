#pragma once

#include <functional>
#include <vector>

#include "layout.h"
#include "meeting.h"

namespace halnorm::algorithm {

/// Devices: threads that take the values of a block in turn, at most `warps` of `width`. In NCL
/// they stand side by side along a row, and where it is shorter than they are many, in several
/// rows; in NLC each walks down the rows of a channel.
struct Walkers {
  int width = 1, warps = 0;  ///< no warps, no walkers
  int together = 1;          ///< values whose loads are on their way at a time
  int piece = 1;             ///< NCL: neighbours that one load brings, where rows consist of such
  int channels = 1;          ///< NLC: neighbouring channels of a block
  bool halving = false;      ///< a warp's sums are added half to half, not in a row
};

/// How many values enter one sum in the data's own precision before double takes over: a block's
/// sums stay within a few rounding errors of exact because each of its partial sums is short.
struct BlockSizes {
  int width = 1;         ///< NCL: of a vector; a row shorter than this is added value by value
  int lanes = 1;         ///< NCL: vectors of partial sums;
                         ///< NLC: rows that are added up before they meet the block's sums
  int row_length = 1;    ///< NCL: a longer row is cut here
  int block_values = 1;  ///< rows are grouped until a block holds about this many values,
  int min_rows = 1;      ///< NLC: and not fewer,
  int max_rows = 1;      ///< and never more: one lane may have to add them all
  /// NLC: up to so many channels the rows that are added up together lie as far apart as their
  /// block allows; of more channels they are neighbours. The second of sums of several tensors.
  int channels_apart = 0, channels_apart_of_several = 0;
  bool whole = false;           ///< or a channel is one block, however many they are
  bool in_double = false;       ///< double from the first addition on, whatever the data's type
  bool shift_by_first = false;  ///< a channel's first value is subtracted, not one of its middle
  Walkers walkers{};            ///< devices: who takes a block's values
  int blocks = 0;           ///< with walkers: a block grows until there are no more than so many,
  int most_in_channel = 0;  ///< and of one channel no more than so many

  /// For sums of so many tensors, which share the registers.
  [[nodiscard]] BlockSizes reading(int tensors) const;
};

/// The data cut into blocks: (jl, jn) numbers them along L and along N.
struct BlockGrid {
  Domain domain;
  int width = 1, lanes = 1;
  bool whole = false;
  Halide::Expr far_apart;  ///< NLC: whether the rows that are added up together lie far apart
  Walkers walkers;
  Halide::Expr warps;             ///< of walkers, no more than there are
  Halide::Expr row_length, rows;  ///< a full block's extents; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  BlockGrid() = default;
  BlockGrid(const Domain& domain, const BlockSizes& sizes);

  /// NCL: values of a row that are added at a time.
  [[nodiscard]] int step() const { return width * lanes; }
  [[nodiscard]] Halide::Expr first_l(const Halide::Expr& jl) const { return jl * row_length; }
  [[nodiscard]] Halide::Expr first_n(const Halide::Expr& jn) const { return jn * rows; }
  /// NLC: the distance of the rows that are added up together, and of their first ones.
  [[nodiscard]] Halide::Expr apart(const Halide::Expr& jn) const;
  [[nodiscard]] Halide::Expr group_step() const;
  /// Row r of a group; r counts rows that exist.
  [[nodiscard]] Halide::Expr row(const Halide::Expr& jn, const Halide::Expr& r) const;
  [[nodiscard]] Halide::Expr length_at(const Halide::Expr& jl) const;
  [[nodiscard]] Halide::Expr rows_at(const Halide::Expr& jn) const;
  /// NCL: whether rows consist of pieces, and the values that a walker takes as one.
  [[nodiscard]] Halide::Expr in_pieces() const;
  [[nodiscard]] Halide::Expr piece() const;
  /// All walkers of a channel in a block; those that stand side by side along a row; the rows in
  /// which they stand.
  [[nodiscard]] Halide::Expr count() const;
  [[nodiscard]] Halide::Expr across() const { return across(row_length / piece()); }
  [[nodiscard]] Halide::Expr down() const { return down(row_length / piece()); }
  /// The same where a row has so many pieces.
  [[nodiscard]] Halide::Expr across(const Halide::Expr& pieces) const;
  [[nodiscard]] Halide::Expr down(const Halide::Expr& pieces) const;

 private:
  void cut_for_vectors(const BlockSizes& sizes);
  void cut_for_walkers(const BlockSizes& sizes);
  void cut_for_walkers_along_rows(const BlockSizes& sizes);
};

/// One element and the block it belongs to.
struct Place {
  Halide::Expr l, c, n, jl, jn;
  Halide::Expr counts{};  ///< if defined, whether the element is there, or stands in for none
  /// If defined, where the elements of a tensor come from.
  std::function<Halide::Expr(const Halide::Func&)> loaded = nullptr;

  /// The element of a tensor.
  [[nodiscard]] Halide::Expr of(const Halide::Func& tensor, const Domain& domain) const {
    return loaded ? loaded(tensor) : domain.at(tensor, l, c, n);
  }

  [[nodiscard]] Halide::Expr or_zero(const Halide::Expr& value) const;
};

/// Two sums per channel over each block. The order of the additions is fixed by the extents alone,
/// so that the result does not depend on who computes which block.
struct BlockSums {
  Halide::Var w{"w"}, u{"u"}, row{"row"}, c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func lanes{"lanes"};      ///< NCL, (w, u, c, jl, jn): the partial sums of a block
  Halide::Func lane{"lane"};        ///< NCL, (w, c, jl, jn): those of all its vectors
  Halide::Func row_sum{"row_sum"};  ///< NCL, (row, c, jl, jn): a row that is shorter than a vector
  Halide::Func together{"together"};  ///< NLC, (u, c, jl, jn): a group of rows
  Halide::Func sums{"sums"};          ///< (c, jl, jn)
  Halide::RDom full;                  ///< NCL: the full steps of a block's rows
  Halide::RDom rest;       ///< NCL: the vectors that are left of each; NLC: the rows left
  Halide::RDom few, rows;  ///< NCL: the values of rows that hold no whole vector, and these
  Halide::RDom across;     ///< NCL: a vector's values; NLC: the groups of rows

  Halide::Var g{"g"}, e{"e"}, t{"t"}, turn{"turn"}, other{"other"};
  Halide::Func path{"path"};  ///< (w, g, jl, jn): where it leads a walker
  /// Pieces of the tensors on their way, (e, t, w, g, c, jl, jn, turn, other): e is a piece's
  /// value, t its turn in a step.
  std::vector<Halide::Func> pieces;
  Halide::Func walk{"walk"};         ///< walkers, (w, g, c, jl, jn): what one comes by
  Halide::Func walked{"walked"};     ///< the same, for the others to see
  std::vector<Halide::Func> halves;  ///< halving, likewise: a warp's sums, half as many, ..., 4
  Meeting meeting;                   ///< their sums come together, (c, jl, jn)
};

using Terms = std::function<Halide::Tuple(const Place&)>;
BlockSums block_sums(const BlockGrid& grid, const Terms& terms);

/// Two values per channel, made of its blocks one after another in a fixed order.
struct Reduction {
  BlockGrid grid;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};    ///< (c): subtracted from the channel's values, if defined
  bool shift_is_first = false;    ///< and that is the first of them
  BlockSums part;                 ///< what is summed over each block, in the accumulator's type
  Halide::Func block{"block"};    ///< (c, jl, jn): a block's pair, double
  Halide::RDom order;             ///< the blocks, in the order in which they enter
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the pair that is wanted, if it is not merged itself

  Halide::Func pivot{"pivot"};  ///< (c, jl, jn): devices: the shift, as a block's kernel leaves it

  Halide::Var w{"w"}, g{"g"};
  Halide::Func gathering{"gathering"};  ///< walkers, (w, g, c): what each adds up; if defined
  Halide::Func gathered{"gathered"};    ///< the same, for the others to see
  Meeting met;                          ///< (c): and all together
};

/// The type that a value of the data is computed with.
Halide::Type accumulator_of(const Halide::Type& data);

/// The type that its sums are added in.
Halide::Type sum_type_of(const Halide::Type& data, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
