#include "moments.h"

#include <vector>

#include "merge.h"
#include "narrow.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::Tuple;

namespace {

/// (mean, m2) of both samples.
Tuple merged_moments(const Tuple& so_far, const Tuple& next, const Expr& count, const Expr& size) {
  const Expr share = size / (count + size);
  const Expr delta = next[0] - so_far[0];
  return {so_far[0] + delta * share, so_far[1] + next[1] + delta * delta * count * share};
}

Expr median(const Expr& a, const Expr& b, const Expr& c) {
  return Halide::max(Halide::min(a, b), Halide::min(Halide::max(a, b), c));
}

/// A value of the block that lies near its middle: Tukey's ninther, the median of three medians of
/// three values. Subtracted from the block's values it takes a large mean from them, exactly; and
/// its distance from their mean, which the sum of squares has to lose again, is well below their
/// spread, also where a few values lie far outside, or where nearly all are equal.
void choose_shift(Reduction& m, const Func& x, const Domain& d, const Halide::Type& acc) {
  std::vector<Expr> medians;
  for (int i = 0; i < 3; ++i) {
    std::vector<Expr> values;
    for (int j = 0; j < 3; ++j) {
      const int place = 3 * j + i;  // of nine, spread over the block
      const Expr l = m.grid.first_l(m.jl) + place * m.grid.length_at(m.jl) / 9;
      const Expr n = m.grid.row(m.jn, place * m.grid.rows_at(m.jn) / 9);
      values.push_back(cast(acc, d.at(x, Halide::clamp(l, 0, d.L - 1), m.c, n)));
    }
    medians.push_back(median(values[0], values[1], values[2]));
  }
  m.shift(m.c, m.jl, m.jn) = median(medians[0], medians[1], medians[2]);
}

/// A sum of squares that rounding has made negative is 0; a NaN must stay one. Halide turns the
/// select into a maximum, which CPUs compute as it is written, but devices as they like.
Expr not_negative(const Expr& m2, const BlockSizes& sizes) {
  const Expr limited = Halide::select(m2 < 0, cast<double>(0), m2);
  return sizes.guards_nan ? Halide::select(has_nan_bits(m2), m2, limited) : limited;
}

/// The mean of all blocks' means first, then their squared deviations about it: sums, which many
/// can add up side by side, without a division for each block.
void gather_moments(Reduction& m, int gatherers) {
  const Func sums = gather_blocks(m, gatherers, [](const Tuple& block, const Expr& size) {
    return Tuple(size * block[0], cast<double>(0));
  });
  const Expr mean = sums(m.c)[0] / m.grid.domain.count();
  const Func spread = gather_blocks(m, gatherers, [&](const Tuple& block, const Expr& size) {
    const Expr apart = block[0] - mean;
    return Tuple(block[1] + size * apart * apart, cast<double>(0));
  });
  m.merged(m.c) = Tuple(mean, spread(m.c)[0]);
}

}  // namespace

Reduction moments(const Func& x, const Domain& d, const BlockSizes& sizes) {
  Reduction m;
  m.grid = BlockGrid(d, sizes);
  const Halide::Type acc = sum_type_of(x.type(), sizes);

  // In double, for narrower data, the first value of the channel is near enough: it is one of n
  // values, and so no farther from their mean than sqrt(n) of their spread, whose square costs n of
  // 2^53.
  const Expr first = cast(acc, d.at(x, 0, m.c, 0));
  m.shift_is_first = sizes.shift_by_first;
  if (m.shift_is_first) {
    m.shift(m.c, m.jl, m.jn) = first;
  } else {
    choose_shift(m, x, d, acc);
  }
  m.part = block_sums(m.grid, [&](const Place& p) {
    // strict: sum(x) - n * shift, which a compiler may make of it, loses all that a shift is for.
    const Expr v = p.or_zero(
        Halide::strict_float(cast(acc, d.at(x, p.l, p.c, p.n)) - m.shift(p.c, p.jl, p.jn)));
    return Tuple(v, v * v);
  });

  const Expr s1 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[0]);
  const Expr s2 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[1]);
  // Times one inverse for all channels: a division for each took a tenth of a small call.
  const Expr above = s1 * (1 / m.grid.size(m.jl, m.jn));
  const Expr m2 = s2 - s1 * above;
  const Expr pivot = cast<double>(first);
  // Strict, or above - pivot may be formed first, which a large mean rounds.
  const Expr apart = m.shift_is_first
                         ? cast<double>(0)
                         : Halide::strict_float(cast<double>(m.shift(m.c, m.jl, m.jn)) - pivot);
  m.block(m.c, m.jl, m.jn) = Tuple(apart + above, not_negative(m2, sizes));
  if (sizes.gatherers > 1) {
    gather_moments(m, sizes.gatherers);
  } else {
    merge_blocks(m, merged_moments);
  }
  m.total(m.c) = Tuple(pivot + m.merged(m.c)[0], m.merged(m.c)[1]);
  return m;
}

}  // namespace halnorm::algorithm
