#include "cross_warp.h"

#include "block_sums.h"
#include "tuple_math.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Tuple;
using Halide::Var;

CrossWarpSum add_across_warps(const BlockGrid& grid, const Var& g, const std::vector<Var>& of,
                              int lanes, const SumOf& sum) {
  std::vector<Var> of_warp{g};
  of_warp.insert(of_warp.end(), of.begin(), of.end());
  CrossWarpSum m;
  m.warp(of_warp) = pairwise_sum(0, lanes, [&](int w) { return sum(w, g); });
  m.all(of) = pairwise_sum(0, grid.threads.warps, [&](int i) {
    std::vector<Expr> one{Halide::min(i, grid.warps - 1)};
    one.insert(one.end(), of.begin(), of.end());
    const Tuple sums = m.warp(one);
    const Expr zero = cast<double>(0);
    return Tuple(select(i < grid.warps, sums[0], zero), select(i < grid.warps, sums[1], zero));
  });
  return m;
}

}  // namespace halnorm::algorithm
