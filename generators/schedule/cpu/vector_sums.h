#pragma once

#include "../schedule.h"

namespace halnorm::schedule {

/// The block sizes of a CPU: the number of values that are added in the data's own precision before
/// double is used.
struct BlockSizes {
  int width = 1;         ///< NCL: of a vector; a row shorter than this is added value by value
  int lanes = 1;         ///< NCL: vectors of partial sums;
                         ///< NLC: rows that are summed before they are added to the block
  int row_length = 1;    ///< NCL: a longer row is cut at this length
  int block_values = 1;  ///< a block has rows with about this many values in all,
  int min_rows = 1;      ///< NLC: but at least this many rows,
  int max_rows = 1;      ///< and at most this many, because one lane may have to add them all
  /// NLC: up to this many channels, rows of a group are as far apart as their block allows; with
  /// more channels they are neighbours.
  int channels_apart = 0;
  /// NLC: masked stores are slow, so that the last vector of channels masks its loads alone. Its
  /// sums are then added in another order than by a Func of their own.
  bool slow_masks = false;
};

/// Sums by the vectors of a CPU. A channel's blocks are merged one by one.
class VectorSums final : public algorithm::Summation {
 public:
  VectorSums(const algorithm::Domain& domain, const BlockSizes& block_sizes,
             const SumOptions& options);

  [[nodiscard]] Halide::Func sum(const algorithm::Terms& terms) override;
  [[nodiscard]] Halide::Func merge(const Halide::Func& block) override;

  const BlockSizes sizes;
  Halide::Var w{"w"}, u{"u"}, row{"row"}, c{"c"}, jl{"jl"}, jn{"jn"};
  Halide::Func lanes{"lanes"};        ///< NCL, (w, u, c, jl, jn): the partial sums of a block
  Halide::Func lane{"lane"};          ///< NCL, (w, c, jl, jn): the sums over all its vectors
  Halide::Func row_sum{"row_sum"};    ///< NCL, (row, c, jl, jn): a row shorter than a vector
  Halide::Func unrolled{"unrolled"};  ///< NLC, (u, c, jl, jn): the sum of a group of rows;
                                      ///< undefined with slow_masks
  Halide::Func sums{"sums"};          ///< (c, jl, jn)
  Halide::RDom main;                  ///< NCL: the main loop over a block's rows
  Halide::RDom vector_tail;           ///< NCL: the vectors of a row after its last whole step
  Halide::RDom tail;                  ///< NLC: the rows after the last whole group
  Halide::RDom scalar_tail, rows;     ///< NCL: the values of rows without a whole vector
  Halide::RDom across;                ///< NCL: the values of a vector; NLC: the groups of rows
  Halide::RDom order;                 ///< the blocks in the order of the merge

 private:
  void sum_rows_of_lanes(const algorithm::Terms& terms);
  void sum_rows_of_channels(const algorithm::Terms& terms);
  void add_short_rows(const algorithm::Terms& terms);
  void add_lanes();
  [[nodiscard]] Halide::Tuple vector_tail_of(const algorithm::Terms& terms) const;
  /// NCL: values of a row that are added in one step.
  [[nodiscard]] int step() const { return sizes.width * sizes.lanes; }

  Halide::Expr far_apart_;  ///< NLC: whether the rows of a group are far apart
};

/// The sums of a reduction on a CPU.
inline VectorSums& vector_sums_of(const algorithm::Reduction& r) {
  return static_cast<VectorSums&>(*r.summation);
}

}  // namespace halnorm::schedule
