#include "merge.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::min;
using Halide::RDom;
using Halide::Tuple;

namespace {

Tuple operator+(const Tuple& a, const Tuple& b) { return {a[0] + b[0], a[1] + b[1]}; }

Tuple zeros() { return {cast<double>(0), cast<double>(0)}; }

/// `count` blocks of one gatherer, added up in pairs, so that their loads are on their way
/// together.
Tuple sum_of_blocks(const Reduction& r, const Expr& first, int step, int count,
                    const Share& share) {
  if (count > 1) {
    return sum_of_blocks(r, first, step, count / 2, share) +
           sum_of_blocks(r, first + count / 2 * step, step, count - count / 2, share);
  }
  const BlockGrid& g = r.grid;
  const Expr blocks = g.cuts * g.groups;
  const Expr j = min(first, blocks - 1);
  const Expr jl = Halide::unsafe_promise_clamped(j % g.cuts, 0, g.cuts - 1);
  const Expr jn = Halide::unsafe_promise_clamped(j / g.cuts, 0, g.groups - 1);
  const Tuple part = share(Tuple(r.block(r.c, jl, jn)), g.size(jl, jn));
  const Expr is_one = first < blocks;
  return {select(is_one, part[0], cast<double>(0)), select(is_one, part[1], cast<double>(0))};
}

/// f(c, first) to f(c, first + count - 1), added up in pairs.
Tuple sum_of_some(const Func& f, const Expr& c, const Expr& first, int count) {
  if (count == 1) {
    return f(c, first);
  }
  return sum_of_some(f, c, first, count / 2) +
         sum_of_some(f, c, first + count / 2, count - count / 2);
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
  gathering(r.c, r.k) = Tuple(gathering(r.c, r.k)) +
                        sum_of_blocks(r, turns.x * step + r.k, gatherers, together, share);
  Func gathered("gathered");
  gathered(r.c, r.k) = Tuple(gathering(r.c, r.k));
  constexpr int some = 8;
  Func parts("parts");
  parts(r.c, r.k) = sum_of_some(gathered, r.c, r.k * some, some);
  Func met("met");
  met(r.c) = sum_of_some(parts, r.c, 0, gatherers / some);
  r.gathering.push_back(gathering);
  r.gathered.push_back(gathered);
  r.parts.push_back(parts);
  r.met.push_back(met);
  return met;
}

}  // namespace halnorm::algorithm
