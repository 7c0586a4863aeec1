#include "moments.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;

namespace {

void merge_blocks(Reduction& m) {
  m.order = RDom(0, m.grid.cuts, 0, m.grid.groups, "order");
  const Expr jl = m.order.x;
  const Expr jn = m.order.y;
  const Expr count = m.grid.before(jl, jn);
  const Expr share = m.grid.size(jl, jn) / (count + m.grid.size(jl, jn));

  m.merged(m.c) = Tuple(cast<double>(0), cast<double>(0));
  const Expr mean = m.merged(m.c)[0];
  const Expr m2 = m.merged(m.c)[1];
  const Expr delta = m.block(m.c, jl, jn)[0] - mean;
  m.merged(m.c) =
      Tuple(mean + delta * share, m2 + m.block(m.c, jl, jn)[1] + delta * delta * count * share);
}

}  // namespace

Reduction moments(const Func& x, const Domain& d, const BlockSizes& sizes) {
  Reduction m;
  m.grid = BlockGrid(d, sizes);
  const Halide::Type acc = accumulator_of(x.type());

  // The differences lose nothing to a large mean, since the shift is itself one of the values.
  m.shift(m.c, m.jl, m.jn) = cast(acc, d.at(x, m.grid.first_l(m.jl), m.c, m.grid.first_n(m.jn)));
  m.part = block_sums(m.grid, [&](const Place& p) {
    const Expr v = cast(acc, d.at(x, p.l, p.c, p.n)) - m.shift(p.c, p.jl, p.jn);
    return Tuple(v, v * v);
  });

  const Expr s1 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[0]);
  const Expr s2 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[1]);
  const Expr above = s1 / m.grid.size(m.jl, m.jn);
  const Expr m2 = s2 - s1 * above;
  // select, not max: a NaN must stay one.
  m.block(m.c, m.jl, m.jn) = Tuple(cast<double>(m.shift(m.c, m.jl, m.jn)) + above,
                                   Halide::select(m2 < 0, cast<double>(0), m2));
  merge_blocks(m);
  return m;
}

}  // namespace halnorm::algorithm
