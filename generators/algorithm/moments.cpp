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

/// A value near the block's mean, so that x - shift loses nothing to a large mean and its square
/// little to the distance: the average of a few values that lie spread over the block, without the
/// least and the greatest, since one may be an outlier. It is formed about the first value, so that
/// a constant block has exactly its own.
void choose_shift(Reduction& m, const Func& x, const Domain& d, const Halide::Type& acc) {
  constexpr int values = 8;
  const Expr first = cast(acc, d.at(x, m.grid.first_l(m.jl), m.c, m.grid.first_n(m.jn)));
  Expr sum = cast(acc, 0);
  Expr least = sum;
  Expr greatest = sum;
  for (int i = 1; i < values; ++i) {
    const Expr l = m.grid.first_l(m.jl) + i * m.grid.length_at(m.jl) / values;
    const Expr n = m.grid.row(m.jn, i * m.grid.rows_at(m.jn) / values);
    const Expr v = cast(acc, d.at(x, Halide::clamp(l, 0, d.L - 1), m.c, n)) - first;
    sum += v;
    least = Halide::min(least, v);
    greatest = Halide::max(greatest, v);
  }
  m.shift(m.c, m.jl, m.jn) = first + (sum - least - greatest) / (values - 2);
}

}  // namespace

Reduction moments(const Func& x, const Domain& d, const BlockSizes& sizes) {
  Reduction m;
  m.grid = BlockGrid(d, sizes);
  const Halide::Type acc = accumulator_of(x.type());

  choose_shift(m, x, d, acc);
  m.part = block_sums(m.grid, [&](const Place& p) {
    // strict: sum(x) - n * shift, which a compiler may make of it, loses all that a shift is for.
    const Expr v =
        Halide::strict_float(cast(acc, d.at(x, p.l, p.c, p.n)) - m.shift(p.c, p.jl, p.jn));
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
