#include "cross_warp.h"

#include "../tuple_math.h"

namespace halnorm::schedule {

using Halide::cast;
using Halide::Expr;
using Halide::Tuple;
using Halide::Var;

CrossWarpSum add_across_warps(const ThreadBlocks& blocks, const Var& g, const std::vector<Var>& of,
                              int lanes, const SumOf& sum) {
  std::vector<Var> of_warp{g};
  of_warp.insert(of_warp.end(), of.begin(), of.end());
  CrossWarpSum m;
  m.warp(of_warp) = pairwise_sum(0, lanes, [&](int w) { return sum(w, g); });
  m.all(of) = pairwise_sum(0, blocks.threads.warps, [&](int i) {
    std::vector<Expr> one{Halide::min(i, blocks.warps - 1)};
    one.insert(one.end(), of.begin(), of.end());
    const Tuple sums = m.warp(one);
    const Expr zero = cast<double>(0);
    return Tuple(select(i < blocks.warps, sums[0], zero), select(i < blocks.warps, sums[1], zero));
  });
  return m;
}

}  // namespace halnorm::schedule
