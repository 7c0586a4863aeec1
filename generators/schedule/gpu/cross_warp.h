#pragma once

#include <functional>
#include <vector>

#include "../../algorithm/block_sums.h"

namespace halnorm::schedule {

/// Cross-warp reduction: adds the sums of a block's threads, first within each warp.
struct CrossWarpSum {
  Halide::Func warp{"warp"};  ///< (g, of): the sums of a warp
  Halide::Func all{"all"};    ///< (of): the sums of all warps
};

/// The sum of thread w of warp g.
using SumOf = std::function<Halide::Tuple(const Halide::Expr& w, const Halide::Expr& g)>;

/// `of`: the variables of the sums, (c, ...); `lanes`: the threads of a warp that have a sum.
CrossWarpSum add_across_warps(const algorithm::BlockGrid& grid, const Halide::Var& g,
                              const std::vector<Halide::Var>& of, int lanes, const SumOf& sum);

/// The merge of a channel's blocks by the threads of a block: Reduction::device.
struct ThreadPartials final : algorithm::DeviceStages {
  Halide::Var w{"w"}, g{"g"}, c{"c"};             ///< thread, warp, channel
  Halide::Func partial{"partial"};                ///< (w, g, c): the blocks of a thread
  Halide::Func shared_partial{"shared_partial"};  ///< the same in shared memory
  CrossWarpSum across_warps;                      ///< (c)
};

inline ThreadPartials& stages_of(algorithm::Reduction& r) {
  return static_cast<ThreadPartials&>(*r.device);
}

/// The sum over all blocks of a channel, (c). Each thread adds blocks at a distance of the number
/// of threads.
Halide::Func reduce_partials(algorithm::Reduction& r);

}  // namespace halnorm::schedule
