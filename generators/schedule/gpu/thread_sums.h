#pragma once

#include "cross_warp.h"

namespace halnorm::schedule {

/// The sums by the threads of a device, in double.
class ThreadSums final : public algorithm::Summation {
 public:
  explicit ThreadSums(const ThreadBlocks& thread_blocks)
      : Summation(thread_blocks.grid, true), blocks(thread_blocks) {}

  [[nodiscard]] Halide::Func sum(const algorithm::Terms& terms) override;
  [[nodiscard]] Halide::Func merge(const Halide::Func& block) override;
  [[nodiscard]] Halide::Expr merged_shift(const Halide::Func& shift, const Halide::Var&) override;

  const ThreadBlocks blocks;

  // A block.
  Halide::Var w{"w"}, g{"g"}, c{"c"}, jl{"jl"}, jn{"jn"};  ///< thread, warp, channel, block
  Halide::Var e{"e"}, t{"t"}, turn{"turn"}, other{"other"};
  Halide::Func path{"path"};  ///< (w, g, jl, jn): the position of a thread
  /// Loaded pieces of the tensors, (e, t, w, g, c, jl, jn, turn, other): e is the value in a piece,
  /// t the piece in a step.
  std::vector<Halide::Func> pieces;
  Halide::Func thread_sum{"thread_sum"};  ///< (w, g, c, jl, jn): the sums of a thread
  Halide::RDom main;                      ///< its whole steps
  Halide::RDom tail;                      ///< its last, partial step
  Halide::Func shared_sum{"shared_sum"};  ///< the sums of threads in shared memory
  std::vector<Halide::Func> shuffled;     ///< by shuffles: half of a warp's sums, a quarter, ..., 4
  CrossWarpSum across_warps;              ///< (c, jl, jn)
  Halide::Func sums{"sums"};              ///< (c, jl, jn)
  Halide::Func pivot{"pivot"};            ///< (c, jl, jn): the shift

  // The merge of a channel's blocks by the threads of a block.
  Halide::Func partial{"partial"};                ///< (w, g, c): the blocks of a thread
  Halide::Func shared_partial{"shared_partial"};  ///< the same in shared memory
  CrossWarpSum across_partials;                   ///< (c)
};

/// The sums of a reduction on a device.
inline ThreadSums& thread_sums_of(const algorithm::Reduction& r) {
  return static_cast<ThreadSums&>(*r.summation);
}

}  // namespace halnorm::schedule
