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

/// All blocks at once, which many can add up side by side without a division for each: sums about
/// the first block's mean. That lies no farther from the mean than the root of as many of their
/// spread as there are blocks, whose square costs that many of 2^53.
void gather_moments(Reduction& m, const BlockSizes& sizes) {
  const Expr about = m.block(m.c, 0, 0)[0];
  const Func sums = gather_blocks(m, [&](const Tuple& block, const Expr& size) {
    const Expr apart = block[0] - about;
    return Tuple(size * apart, block[1] + size * apart * apart);
  });
  const Expr above = sums(m.c)[0] / m.grid.domain.count();
  m.merged(m.c) = Tuple(about + above, not_negative(sums(m.c)[1] - sums(m.c)[0] * above, sizes));
}

/// A block's mean, above the pivot, and its sum of squared deviations.
void define_block(Reduction& m, const Expr& pivot, const BlockSizes& sizes) {
  const Expr s1 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[0]);
  const Expr s2 = cast<double>(m.part.sums(m.c, m.jl, m.jn)[1]);
  // Times one inverse for all channels: a division for each took a tenth of a small call.
  const Expr above = s1 * (1 / m.grid.size(m.jl, m.jn));
  const Expr m2 = s2 - s1 * above;
  // Strict, or above - pivot may be formed first, which a large mean rounds.
  const Expr apart = m.shift_is_first
                         ? cast<double>(0)
                         : Halide::strict_float(cast<double>(m.shift(m.c, m.jl, m.jn)) - pivot);
  m.block(m.c, m.jl, m.jn) = Tuple(apart + above, not_negative(m2, sizes));
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
    const Expr v =
        p.or_zero(Halide::strict_float(cast(acc, p.of(x, d)) - m.shift(p.c, p.jl, p.jn)));
    return Tuple(v, v * v);
  });

  define_block(m, cast<double>(first), sizes);
  if (sizes.gathers()) {
    gather_moments(m, sizes);
  } else {
    merge_blocks(m, merged_moments);
  }
  // x may be overwritten when the blocks are merged.
  m.pivot(m.c, m.jl, m.jn) = cast<double>(first);
  m.total(m.c) = Tuple(m.pivot(m.c, 0, 0) + m.merged(m.c)[0], m.merged(m.c)[1]);
  return m;
}

}  // namespace halnorm::algorithm
