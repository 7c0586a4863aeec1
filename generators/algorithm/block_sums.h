#pragma once

#include <functional>
#include <memory>

#include "layout.h"

namespace halnorm::algorithm {

struct BlockGrid;
struct BlockSizes;
struct BlockSums;
struct Place;
struct Reduction;
using Terms = std::function<Halide::Tuple(const Place&)>;

/// How the threads of a device sum. The schedule of devices has these sums
/// (schedule/gpu/thread_grid.h); CPUs have the Funcs below.
class DeviceSums {
 public:
  virtual ~DeviceSums() = default;

  /// The same for sums of several tensors, which share the registers.
  [[nodiscard]] virtual std::shared_ptr<const DeviceSums> reading(int tensors) const = 0;
  /// Sets the extents of the blocks.
  virtual void cut(BlockGrid& grid, const BlockSizes& sizes) const = 0;
  /// Defines b.sums.
  virtual void sum_block(BlockSums& b, const BlockGrid& grid, const Terms& terms) const = 0;
  /// The sum over all blocks of a channel, (c).
  [[nodiscard]] virtual Halide::Func sum_blocks(Reduction& r) const = 0;
};

/// The Funcs of such sums, for the schedule that has them.
struct DeviceStages {
  virtual ~DeviceStages() = default;
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
  /// NLC: `lanes` for sums of several tensors, if it is not 0.
  int lanes_of_several = 0;
  bool whole = false;           ///< a channel is one block, for any number of rows
  bool in_double = false;       ///< sums are double from the first addition on, for every dtype
  bool shift_by_first = false;  ///< the shift is a channel's first value, not one of its middle
  std::shared_ptr<const DeviceSums> device = nullptr;  ///< null on CPUs
  int blocks = 0;                                      ///< devices: the most blocks in all,
  int most_in_channel = 0;  ///< and of one channel; a block grows until both hold

  /// The sizes for sums of several tensors, which share the registers.
  [[nodiscard]] BlockSizes reading(int tensors) const;
};

/// The data cut into blocks: (jl, jn) is the index of a block along L and N.
struct BlockGrid {
  Domain domain;
  int width = 1, lanes = 1;
  bool whole = false;
  Halide::Expr far_apart;  ///< NLC: whether the rows of a group are far apart
  std::shared_ptr<const DeviceSums> device;
  Halide::Expr warps;             ///< devices: warps of a block that have values
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

 private:
  void cut_for_vectors(const BlockSizes& sizes);
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
  Halide::RDom tail;                  ///< NLC: the rows after the last whole group
  Halide::RDom scalar_tail, rows;     ///< NCL: the values of rows without a whole vector
  Halide::RDom across;                ///< NCL: the values of a vector; NLC: the groups of rows

  std::shared_ptr<DeviceStages> device;  ///< devices: the Funcs before sums
};

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
  std::shared_ptr<DeviceStages> device;  ///< devices: the Funcs before merged
};

/// The type in which values of this data are computed.
Halide::Type accumulator_of(const Halide::Type& data);

/// The type in which the values of a block are added.
Halide::Type sum_type_of(const Halide::Type& data, const BlockSizes& sizes);

}  // namespace halnorm::algorithm
