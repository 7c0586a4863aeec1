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

/// The average of a few values that lie spread over the block, formed about the first so that a
/// constant block has exactly its value. x - shift then loses nothing to a large mean, and little
/// is lost to the shift's distance from the block's mean.
void choose_shift(Reduction& m, const Func& x, const Domain& d, const Halide::Type& acc) {
  constexpr int values = 8;
  m.sample = RDom(0, values, "sample");
  const Expr first = cast(acc, d.at(x, m.grid.first_l(m.jl), m.c, m.grid.first_n(m.jn)));
  const Expr l = m.grid.first_l(m.jl) + m.sample.x * m.grid.length_at(m.jl) / values;
  const Expr n = m.grid.row(m.jn, m.sample.x * m.grid.rows_at(m.jn) / values);
  const Expr value = cast(acc, d.at(x, Halide::unsafe_promise_clamped(l, 0, d.L - 1), m.c, n));
  m.shift(m.c, m.jl, m.jn) = first;
  m.shift(m.c, m.jl, m.jn) += (value - first) / values;
}

}  // namespace

Reduction moments(const Func& x, const Domain& d, const BlockSizes& sizes) {
  Reduction m;
  m.grid = BlockGrid(d, sizes);
  const Halide::Type acc = accumulator_of(x.type());

  choose_shift(m, x, d, acc);
  m.part = block_sums(m.grid, [&](const Place& p) {
    const Expr v = cast(acc, d.at(x, p.l, p.c, p.n)) - m.shift(p.c, p.jl, p.jn);
    return Tuple(v, v * v);
  });

  const Expr s1 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[0]);
  const Expr s2 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[1]);
  const Expr above = s1 / m.grid.size(m.jl, m.jn);
  const Expr m2 = s2 - s1 * above;
  // select, not max: a NaN must stay one.
  const Expr pivot = cast<double>(cast(acc, d.at(x, 0, m.c, 0)));
  // Strict, or above - pivot may be formed first, which a large mean rounds.
  const Expr apart = Halide::strict_float(cast<double>(m.shift(m.c, m.jl, m.jn)) - pivot);
  m.block(m.c, m.jl, m.jn) = Tuple(apart + above, Halide::select(m2 < 0, cast<double>(0), m2));
  merge_blocks(m);
  m.total(m.c) = Tuple(pivot + m.merged(m.c)[0], m.merged(m.c)[1]);
  return m;
}

}  // namespace halnorm::algorithm
