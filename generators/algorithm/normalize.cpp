#include "normalize.h"

#include "rounding.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;

namespace {

/// Everything except y.
Normalize coefficients(const Func& x, const Func& mean, const Func& invstd, const Func& weight,
                       const Func& bias) {
  Normalize s;
  const Halide::Type data = x.type();
  s.invstd(s.c) = invstd(s.c);
  s.center(s.c) = coefficient(data, mean(s.c));
  s.origin(s.c) = s.center(s.c);
  s.scale(s.c) = coefficient(data, cast<double>(weight(s.c)) * s.invstd(s.c));
  s.offset(s.c) =
      coefficient(data, cast<double>(bias(s.c)) - (mean(s.c) - cast<double>(s.center(s.c))) *
                                                      cast<double>(weight(s.c)) * s.invstd(s.c));
  return s;
}

/// One element of (x - center) * scale + offset, in the accumulator's type.
Expr normalized(const Normalize& s, const Func& x, const Domain& d) {
  const Expr v = cast(accumulator_of(x.type()), d.at(x, s.l, s.c, s.n)) - s.origin(s.c);
  return v * s.scale(s.c) + s.offset(s.c);
}

}  // namespace

Normalize normalize(const Func& x, const Domain& d, const Func& mean, const Func& invstd,
                    const Func& weight, const Func& bias) {
  Normalize s = coefficients(x, mean, invstd, weight, bias);
  s.y(d.index(s.l, s.c, s.n)) = normalized(s, x, d);
  return s;
}

Normalize normalize_add_relu(const Func& x, const Func& addend, const Domain& d, const Func& mean,
                             const Func& invstd, const Func& weight, const Func& bias,
                             const Expr& slope) {
  Normalize s = coefficients(x, mean, invstd, weight, bias);
  s.rectifies = true;
  const Halide::Type acc = accumulator_of(x.type());
  const Expr sum = normalized(s, x, d) + cast(acc, d.at(addend, s.l, s.c, s.n));
  // Strict, because a NaN must stay a NaN, and the compiler may otherwise assume that there is
  // none.
  const Expr negative = Halide::strict_float(sum < 0);
  // Without a slope an infinity too becomes 0, and no 0 is negative.
  const Expr below = Halide::select(slope == 0, cast(acc, 0), sum * coefficient(x.type(), slope));
  s.y(d.index(s.l, s.c, s.n)) = Halide::select(negative, below, sum);
  return s;
}

}  // namespace halnorm::algorithm
