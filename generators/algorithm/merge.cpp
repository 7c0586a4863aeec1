#include "merge.h"

#include "pairs.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::min;
using Halide::RDom;
using Halide::Tuple;

namespace {

/// What block j adds, and nothing where there is none.
Tuple share_of(const Reduction& r, const Expr& j, const Share& share) {
  const BlockGrid& g = r.grid;
  const Expr blocks = g.cuts * g.groups;
  const Expr near = min(j, blocks - 1);
  const Expr jl = within(near % g.cuts, g.cuts - 1);
  const Expr jn = within(near / g.cuts, g.groups - 1);
  const Tuple part = share(Tuple(r.block(r.c, jl, jn)), g.size(jl, jn));
  const Expr is_one = j < blocks;
  return {select(is_one, part[0], cast<double>(0)), select(is_one, part[1], cast<double>(0))};
}

}  // namespace

void merge_blocks(Reduction& r, const Merge& merge) {
  r.merged(r.c) = zeros();
  r.order = RDom(0, r.grid.cuts, 0, r.grid.groups, "order");
  const Expr jl = r.order.x;
  const Expr jn = r.order.y;
  r.merged(r.c) = merge(Tuple(r.merged(r.c)), Tuple(r.block(r.c, jl, jn)), r.grid.before(jl, jn),
                        r.grid.size(jl, jn));
}

Func gather_blocks(Reduction& r, int gatherers, const Share& share) {
  constexpr int together = 4;
  const Expr blocks = r.grid.cuts * r.grid.groups;
  const int step = gatherers * together;
  const RDom turns(0, (blocks + step - 1) / step, "turns");
  Func gathering("gathering");
  gathering(r.c, r.k) = zeros();
  gathering(r.c, r.k) = Tuple(gathering(r.c, r.k)) + sum_in_pairs(0, together, [&](int i) {
                          return share_of(r, turns.x * step + r.k + i * gatherers, share);
                        });
  Func gathered("gathered");
  gathered(r.c, r.k) = Tuple(gathering(r.c, r.k));
  constexpr int some = 8;
  Func parts("parts");
  parts(r.c, r.k) =
      sum_in_pairs(0, some, [&](int i) { return Tuple(gathered(r.c, r.k * some + i)); });
  Func met("met");
  met(r.c) = sum_in_pairs(0, gatherers / some, [&](int i) { return Tuple(parts(r.c, i)); });
  r.gathering.push_back(gathering);
  r.gathered.push_back(gathered);
  r.parts.push_back(parts);
  r.met.push_back(met);
  return met;
}

}  // namespace halnorm::algorithm
