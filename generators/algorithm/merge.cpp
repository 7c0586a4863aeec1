#include "merge.h"

#include "tuple_math.h"

namespace halnorm::algorithm {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;

namespace {

/// The sum over all blocks of a channel, (c), by the threads of a block. Each thread adds blocks at
/// a distance of the number of threads.
Func reduce_partials(Reduction& r) {
  const BlockGrid& grid = r.grid;
  const Expr blocks = grid.cuts * grid.groups;
  const Expr thread = r.g * grid.threads.width + r.w;
  // One by one: there are rarely more blocks than threads.
  RDom turns(0, (blocks + grid.count() - 1) / grid.count(), "turns");
  const Expr j = turns.x * grid.count() + thread;
  turns.where(j < blocks);
  const Expr jl = within(j % grid.cuts, grid.cuts - 1);
  const Expr jn = within(j / grid.cuts, grid.groups - 1);
  r.partial(r.w, r.g, r.c) = zeros();
  r.partial(r.w, r.g, r.c) = Tuple(r.partial(r.w, r.g, r.c)) + Tuple(r.block(r.c, jl, jn));
  r.shared_partial(r.w, r.g, r.c) = Tuple(r.partial(r.w, r.g, r.c));
  r.across_warps = add_across_warps(
      grid, r.g, {r.c}, grid.threads.width,
      [&](const Expr& w, const Expr& g) { return Tuple(r.shared_partial(w, g, r.c)); });
  return r.across_warps.all;
}

}  // namespace

void merge_blocks(Reduction& r) {
  if (r.grid.threads.warps > 0) {
    // One block needs no sum. PoCL 3.1 would add it more than once: see docs/performance.md.
    r.merged(r.c) = r.grid.whole ? Tuple(r.block(r.c, 0, 0)) : Tuple(reduce_partials(r)(r.c));
    return;
  }
  r.merged(r.c) = zeros();
  r.order = RDom(0, r.grid.cuts, 0, r.grid.groups, "order");
  r.merged(r.c) = Tuple(r.merged(r.c)) + Tuple(r.block(r.c, r.order.x, r.order.y));
}

}  // namespace halnorm::algorithm
