#include "normalize.h"

#include "block_sums.h"
#include "narrow.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;

Normalize normalize(const Func& x, const Domain& d, const Func& mean, const Func& invstd,
                    const Func& weight, const Func& bias) {
  Normalize s;
  const Halide::Type acc = accumulator_of(x.type());
  s.invstd(s.c) = invstd(s.c);
  s.center(s.c) = cast(acc, mean(s.c));
  s.scale(s.c) = cast(acc, cast<double>(weight(s.c)) * s.invstd(s.c));
  s.offset(s.c) =
      cast(acc, cast<double>(bias(s.c)) - (mean(s.c) - cast<double>(s.center(s.c))) *
                                              cast<double>(weight(s.c)) * s.invstd(s.c));

  const Expr v = cast(acc, d.at(x, s.l, s.c, s.n)) - s.center(s.c);
  const Expr y = narrow(x.type(), v * s.scale(s.c) + s.offset(s.c));
  if (d.layout == Layout::NCL) {
    s.y(s.l, s.c, s.n) = y;
  } else {
    s.y(s.c, s.n) = y;
  }
  return s;
}

}  // namespace halnorm::algorithm
