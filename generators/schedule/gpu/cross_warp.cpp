#include "cross_warp.h"

#include <memory>

#include "../../algorithm/tuple_math.h"
#include "thread_grid.h"

namespace halnorm::schedule {

using namespace algorithm;
using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;
using Halide::Var;

CrossWarpSum add_across_warps(const BlockGrid& grid, const Var& g, const std::vector<Var>& of,
                              int lanes, const SumOf& sum) {
  std::vector<Var> of_warp{g};
  of_warp.insert(of_warp.end(), of.begin(), of.end());
  CrossWarpSum m;
  m.warp(of_warp) = pairwise_sum(0, lanes, [&](int w) { return sum(w, g); });
  m.all(of) = pairwise_sum(0, threads_of(grid).warps, [&](int i) {
    std::vector<Expr> one{Halide::min(i, grid.warps - 1)};
    one.insert(one.end(), of.begin(), of.end());
    const Tuple sums = m.warp(one);
    const Expr zero = cast<double>(0);
    return Tuple(select(i < grid.warps, sums[0], zero), select(i < grid.warps, sums[1], zero));
  });
  return m;
}

Func reduce_partials(Reduction& r) {
  const auto stages = std::make_shared<ThreadPartials>();
  ThreadPartials& p = *stages;
  r.device = stages;
  const BlockGrid& grid = r.grid;
  const int width = threads_of(grid).width;
  const Expr count = thread_count(grid);
  const Expr blocks = grid.cuts * grid.groups;
  const Expr thread = p.g * width + p.w;
  // One by one: there are rarely more blocks than threads.
  RDom turns(0, (blocks + count - 1) / count, "turns");
  const Expr j = turns.x * count + thread;
  turns.where(j < blocks);
  const Expr jl = within(j % grid.cuts, grid.cuts - 1);
  const Expr jn = within(j / grid.cuts, grid.groups - 1);
  p.partial(p.w, p.g, p.c) = zeros();
  p.partial(p.w, p.g, p.c) = Tuple(p.partial(p.w, p.g, p.c)) + Tuple(r.block(p.c, jl, jn));
  p.shared_partial(p.w, p.g, p.c) = Tuple(p.partial(p.w, p.g, p.c));
  p.across_warps = add_across_warps(grid, p.g, {p.c}, width, [&](const Expr& w, const Expr& g) {
    return Tuple(p.shared_partial(w, g, p.c));
  });
  return p.across_warps.all;
}

}  // namespace halnorm::schedule
