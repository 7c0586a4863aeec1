#include "gradients.h"

#include <utility>

#include "rounding.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::Tuple;
using Halide::Var;

Func rectified(const Func& dy, const Func& y, const Domain& dom, const Expr& slope) {
  const Var l("l"), c("c"), n("n");
  const Halide::Type acc = accumulator_of(y.type());
  const Expr at = cast(acc, dom.at(y, l, c, n));
  const Expr passes = at > cast(acc, 0) || has_nan_bits(at);
  const Expr given = cast(acc, dom.at(dy, l, c, n));
  const Expr below =
      Halide::select(slope == 0, cast(acc, 0), given * coefficient(dy.type(), slope));
  Func dx("rectified");
  dx(dom.index(l, c, n)) = Halide::select(passes, given, below);
  return dx;
}

GradientSums gradient_sums(const Func& dy, const Func& x, const Func& mean,
                           std::unique_ptr<Summation> summation) {
  GradientSums s;
  Reduction& r = s.about_center;
  r.summation = std::move(summation);
  const Domain& dom = r.domain();
  const Halide::Type acc = r.summation->type_for(x.type());
  s.center(s.c) = cast(acc, mean(s.c));
  r.sum([&](const Place& p) {
    const Expr g = p.or_zero(cast(acc, p.of(dy, dom)));
    const Expr v = p.or_zero(Halide::strict_float(cast(acc, p.of(x, dom)) - s.center(p.c)));
    return Tuple(g, g * v);
  });

  const Expr below = mean(s.c) - cast<double>(s.center(s.c));
  s.sum_dy(s.c) = r.merged(s.c)[0];
  s.sum_dy_xmu(s.c) = r.merged(s.c)[1] - below * r.merged(s.c)[0];
  return s;
}

InputGradient input_gradient(const Func& dy, const Func& x, const Domain& dom, const Func& mean,
                             const Func& invstd, const Func& weight, const Func& sum_dy,
                             const Func& sum_dy_xmu, const Expr& count) {
  InputGradient g;
  const Halide::Type acc = accumulator_of(x.type());
  g.center(g.c) = coefficient(x.type(), mean(g.c));
  g.origin(g.c) = g.center(g.c);
  const Expr below = mean(g.c) - cast<double>(g.center(g.c));
  const Expr r = invstd(g.c);
  const Expr a = cast<double>(weight(g.c)) * r;
  const Expr b = -a * r * r * sum_dy_xmu(g.c) / count;
  g.a(g.c) = coefficient(x.type(), a);
  g.b(g.c) = coefficient(x.type(), b);
  // d uses the rounded a, so that dy * a + d is 0 if dy is 1 everywhere, as in a sum's gradient.
  const Expr rounded = cast<double>(cast(acc, a));
  const Expr mean_dy = Halide::strict_float(sum_dy(g.c) / count);
  g.d(g.c) = coefficient(x.type(), Halide::strict_float(-rounded * mean_dy) - b * below);

  const Expr v = cast(acc, dom.at(x, g.l, g.c, g.n)) - g.origin(g.c);
  const Expr gradient = cast(acc, dom.at(dy, g.l, g.c, g.n));
  Expr rest = v * g.b(g.c) + g.d(g.c);
  if (x.type() == Halide::Float(32)) {
    // dy * a is most of dx: the rounding of a alone would be half an ulp of it.
    const Expr low = Halide::strict_float(a - rounded);
    // Only where rounded - low becomes rounded again, or a sum's gradient would not be 0.
    const Expr is_lost = cast<double>(cast(acc, rounded - low)) == rounded;
    g.a_low(g.c) = cast(acc, Halide::select(is_lost, low, Expr(0.0)));
    // An infinite dy makes dx infinite, but inf * a_low would be NaN where a_low is 0, and dx where
    // its sign is not that of a. A dy beyond the bound, far outside the range, keeps a's rounding.
    const Expr bound(0x1p100F);
    const Expr bounded = Halide::max(Halide::min(gradient, bound), -bound);
    // Strict, or the compiler makes dy * (a + a_low) of it.
    rest = Halide::strict_float(bounded * g.a_low(g.c) + rest);
  }
  g.dx(dom.index(g.l, g.c, g.n)) = gradient * g.a(g.c) + rest;
  return g;
}

InputGradient input_gradient_of_fixed_statistics(const Func& dy, const Domain& dom,
                                                 const Func& invstd, const Func& weight) {
  InputGradient g;
  const Halide::Type acc = accumulator_of(dy.type());
  g.a(g.c) = coefficient(dy.type(), cast<double>(weight(g.c)) * invstd(g.c));
  const Expr gradient = cast(acc, dom.at(dy, g.l, g.c, g.n));
  g.dx(dom.index(g.l, g.c, g.n)) = gradient * g.a(g.c);
  return g;
}

}  // namespace halnorm::algorithm
