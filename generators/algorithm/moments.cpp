#include "moments.h"

#include <utility>
#include <vector>

#include "rounding.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::Tuple;
using Halide::Var;

namespace {

Expr median(const Expr& a, const Expr& b, const Expr& c) {
  return Halide::max(Halide::min(a, b), Halide::min(Halide::max(a, b), c));
}

/// A value near the middle of channel c: Tukey's ninther, the median of three medians of three
/// values. The subtraction of this shift removes a large mean exactly. The sum of squares loses
/// digits if the shift is far from the mean; the ninther's distance is well below the standard
/// deviation, also with a few outliers, or if nearly all values are equal.
Expr ninther(const Func& x, const Domain& d, const Var& c) {
  std::vector<Expr> medians;
  for (int i = 0; i < 3; ++i) {
    std::vector<Expr> values;
    for (int j = 0; j < 3; ++j) {
      const int place = 3 * j + i;  // nine places across the channel
      const auto at = [&](const Expr& extent) {
        return Halide::clamp(extent / 9 * place + extent % 9 * place / 9, 0, extent - 1);
      };
      values.push_back(cast(accumulator_of(x.type()), d.at(x, at(d.L), c, at(d.N))));
    }
    medians.push_back(median(values[0], values[1], values[2]));
  }
  return median(medians[0], medians[1], medians[2]);
}

/// Replaces a sum of squares that is negative by rounding by 0; a NaN stays a NaN. The function
/// tests the bits, because the maximum of a NaN and 0 depends on the target and on their order.
Expr not_negative(const Expr& m2) {
  return Halide::select(has_nan_bits(m2), m2, Halide::max(m2, cast<double>(0)));
}

}  // namespace

Reduction moments(const Func& x, std::unique_ptr<Summation> summation) {
  Reduction m{.summation = std::move(summation)};
  const Domain& d = m.domain();
  const Halide::Type acc = m.summation->type_for(x.type());
  // In double, the first one of smaller values is near enough: it is one of n values, at most
  // sqrt(n) standard deviations from the mean, which costs a factor of n of 2^53.
  m.shift_is_first = m.summation->in_double && x.type().bits() < 64;
  m.shift(m.c) = cast(acc, m.shift_is_first ? Expr(d.at(x, 0, m.c, 0)) : ninther(x, d, m.c));
  m.sum([&](const Place& p) {
    // strict: a compiler may rewrite this as sum(x) - n * shift, which loses what the shift gains.
    const Expr v = p.or_zero(Halide::strict_float(cast(acc, p.of(x, d)) - m.shift(p.c)));
    return Tuple(v, v * v);
  });
  const Expr shift = m.summation->merged_shift(m.shift, m.c);
  const Expr above = m.merged(m.c)[0] / d.count();
  m.total(m.c) = Tuple(shift + above, not_negative(m.merged(m.c)[1] - m.merged(m.c)[0] * above));
  return m;
}

}  // namespace halnorm::algorithm
