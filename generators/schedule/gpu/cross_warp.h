#pragma once

#include <functional>
#include <vector>

#include "thread_grid.h"

namespace halnorm::schedule {

/// Cross-warp reduction: adds the sums of a block's threads, first within each warp.
struct CrossWarpSum {
  Halide::Func warp{"warp"};  ///< (g, of): the sums of a warp
  Halide::Func all{"all"};    ///< (of): the sums of all warps
};

/// The sum of thread w of warp g.
using SumOf = std::function<Halide::Tuple(const Halide::Expr& w, const Halide::Expr& g)>;

/// `of`: the variables of the sums, (c, ...); `lanes`: the threads of a warp that have a sum.
CrossWarpSum add_across_warps(const ThreadBlocks& blocks, const Halide::Var& g,
                              const std::vector<Halide::Var>& of, int lanes, const SumOf& sum);

}  // namespace halnorm::schedule
