#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "layout.h"

namespace halnorm::algorithm {

/// The data cut into blocks: (jl, jn) is the index of a block along L and N.
struct BlockGrid {
  Domain domain;
  Halide::Expr row_length, rows;  ///< extents of a full block; the last one may be smaller
  Halide::Expr cuts, groups;      ///< blocks along L and along N

  /// Blocks of at most `rows` rows with at most `row_length` values each.
  BlockGrid(const Domain& domain, const Halide::Expr& row_length, const Halide::Expr& rows);
  /// One block per channel.
  explicit BlockGrid(const Domain& domain);

  [[nodiscard]] Halide::Expr first_l(const Halide::Expr& jl) const { return jl * row_length; }
  [[nodiscard]] Halide::Expr first_n(const Halide::Expr& jn) const { return jn * rows; }
  /// Row r of block jn. The index is clamped to the data, for bounds inference.
  [[nodiscard]] Halide::Expr row(const Halide::Expr& jn, const Halide::Expr& r) const;
  [[nodiscard]] Halide::Expr length_at(const Halide::Expr& jl) const;
  [[nodiscard]] Halide::Expr rows_at(const Halide::Expr& jn) const;
};

/// An element of the data.
struct Place {
  Halide::Expr l, c, n;
  Halide::Expr counts{};  ///< if defined: false for an index beyond the data, which counts 0
  /// If defined, the element of a tensor that is loaded already.
  std::function<Halide::Expr(const Halide::Func&)> loaded = nullptr;

  /// The element of a tensor.
  [[nodiscard]] Halide::Expr of(const Halide::Func& tensor, const Domain& domain) const {
    return loaded ? loaded(tensor) : domain.at(tensor, l, c, n);
  }

  [[nodiscard]] Halide::Expr or_zero(const Halide::Expr& value) const;
};

/// The two values that an element adds to the sums of its channel.
using Terms = std::function<Halide::Tuple(const Place&)>;

/// The sums of channels, for one architecture: it has the blocks, and the order of the additions in
/// a block and over all blocks. The extents alone fix this order, so that the result does not
/// depend on threads. A block's sums are within a few rounding errors of exact, because each
/// partial sum that is not double is short.
class Summation {
 public:
  Summation(BlockGrid blocks, bool adds_in_double)
      : grid(std::move(blocks)), in_double(adds_in_double) {}
  virtual ~Summation() = default;

  /// The type of the terms.
  [[nodiscard]] Halide::Type type_for(const Halide::Type& data) const;
  /// The sums of the terms over each block, (c, jl, jn), double.
  [[nodiscard]] virtual Halide::Func sum(const Terms& terms) = 0;
  /// The sum of all blocks of a channel, (c), double.
  [[nodiscard]] virtual Halide::Func merge(const Halide::Func& block) = 0;
  /// The shift of channel c, for use with its merged sums, double. An architecture that overwrites
  /// x before the merge has a copy of it.
  [[nodiscard]] virtual Halide::Expr merged_shift(const Halide::Func& shift, const Halide::Var& c);

  const BlockGrid grid;
  const bool in_double;  ///< sums are double from the first addition on, for every dtype
};

/// Two sums per channel.
struct Reduction {
  std::unique_ptr<Summation> summation = nullptr;
  Halide::Var c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func shift{"shift"};    ///< (c): subtracted from the channel's values, if defined
  bool shift_is_first = false;    ///< whether it is the channel's first value
  Halide::Func block{"block"};    ///< (c, jl, jn): a block's pair, double
  Halide::Func merged{"merged"};  ///< (c): the pair of all blocks, double
  Halide::Func total{"total"};    ///< (c): the result, if it is not merged itself

  [[nodiscard]] const Domain& domain() const { return summation->grid.domain; }
  /// Defines block and merged.
  void sum(const Terms& terms);
};

}  // namespace halnorm::algorithm
