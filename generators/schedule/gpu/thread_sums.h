#pragma once

#include "cross_warp.h"
#include "thread_grid.h"

namespace halnorm::schedule {

/// The sums over a block by the threads of a grid: BlockSums::device.
struct ThreadSums final : algorithm::DeviceStages {
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
};

inline ThreadSums& stages_of(algorithm::BlockSums& b) {
  return static_cast<ThreadSums&>(*b.device);
}

}  // namespace halnorm::schedule
