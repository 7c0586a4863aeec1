#include "merge.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::clamp;
using Halide::Expr;
using Halide::RDom;
using Halide::Tuple;

namespace {

/// Values per channel before block j, counted in the order of merging; all of them after the last.
Expr values_before(const BlockGrid& g, const Expr& j) {
  return Halide::select(j < g.cuts * g.groups, g.before(j % g.cuts, j / g.cuts), g.domain.count());
}

void merge_in_order(Reduction& r, const Merge& merge) {
  r.order = RDom(0, r.grid.cuts, 0, r.grid.groups, "order");
  const Expr jl = r.order.x;
  const Expr jn = r.order.y;
  r.merged(r.c) = merge(Tuple(r.merged(r.c)), Tuple(r.block(r.c, jl, jn)), r.grid.before(jl, jn),
                        r.grid.size(jl, jn));
}

void merge_runs(Reduction& r, int gatherers, const Merge& merge) {
  const BlockGrid& g = r.grid;
  const Expr blocks = g.cuts * g.groups;
  const Expr length = (blocks + gatherers - 1) / gatherers;

  r.order = RDom(0, length, "order");
  const Expr j = r.run * length + r.order.x;
  r.order.where(j < blocks);
  const Expr jl = clamp(j % g.cuts, 0, g.cuts - 1);
  const Expr jn = clamp(j / g.cuts, 0, g.groups - 1);
  r.gathered(r.c, r.run) = Tuple(cast<double>(0), cast<double>(0));
  r.gathered(r.c, r.run) =
      merge(Tuple(r.gathered(r.c, r.run)), Tuple(r.block(r.c, jl, jn)),
            g.before(jl, jn) - values_before(g, r.run * length), g.size(jl, jn));

  r.runs = RDom(0, gatherers, "runs");
  r.runs.where(r.runs.x * length < blocks);
  const Expr before = values_before(g, r.runs.x * length);
  r.merged(r.c) = merge(Tuple(r.merged(r.c)), Tuple(r.gathered(r.c, r.runs.x)), before,
                        values_before(g, (r.runs.x + 1) * length) - before);
}

}  // namespace

void merge_blocks(Reduction& r, const BlockSizes& sizes, const Merge& merge) {
  r.merged(r.c) = Tuple(cast<double>(0), cast<double>(0));
  if (sizes.gatherers == 1) {
    merge_in_order(r, merge);
  } else {
    merge_runs(r, sizes.gatherers, merge);
  }
}

}  // namespace halnorm::algorithm
