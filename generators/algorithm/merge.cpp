#include "merge.h"

#include "pairs.h"

namespace halnorm::algorithm {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;

namespace {

/// What block j adds.
Tuple share_of(const Reduction& r, const Expr& j, const Share& share) {
  const BlockGrid& g = r.grid;
  const Expr jl = within(j % g.cuts, g.cuts - 1);
  const Expr jn = within(j / g.cuts, g.groups - 1);
  return share(Tuple(r.block(r.c, jl, jn)), g.size(jl, jn));
}

}  // namespace

void merge_blocks(Reduction& r, const Merge& merge) {
  // One block needs no sum, which PoCL 3.1 would add up more than once: see docs/performance.md.
  if (r.grid.whole && r.grid.walkers.warps > 0) {
    r.merged(r.c) = Tuple(r.block(r.c, 0, 0));
    return;
  }
  r.merged(r.c) = zeros();
  r.order = RDom(0, r.grid.cuts, 0, r.grid.groups, "order");
  const Expr jl = r.order.x;
  const Expr jn = r.order.y;
  r.merged(r.c) = merge(Tuple(r.merged(r.c)), Tuple(r.block(r.c, jl, jn)), r.grid.before(jl, jn),
                        r.grid.size(jl, jn));
}

Func gather_blocks(Reduction& r, const Share& share) {
  const Expr blocks = r.grid.cuts * r.grid.groups;
  const Expr walker = r.g * r.grid.walkers.width + r.w;
  // One after the other: mostly there are no more blocks than walkers.
  RDom turns(0, (blocks + r.grid.count() - 1) / r.grid.count(), "turns");
  const Expr j = turns.x * r.grid.count() + walker;
  turns.where(j < blocks);
  r.gathering(r.w, r.g, r.c) = zeros();
  r.gathering(r.w, r.g, r.c) = Tuple(r.gathering(r.w, r.g, r.c)) + share_of(r, j, share);
  r.gathered(r.w, r.g, r.c) = Tuple(r.gathering(r.w, r.g, r.c));
  r.met = meet(r.grid, r.g, {r.c}, r.grid.walkers.width,
               [&](const Expr& w, const Expr& g) { return Tuple(r.gathered(w, g, r.c)); });
  return r.met.all;
}

}  // namespace halnorm::algorithm
