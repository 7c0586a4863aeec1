#include "running_stats.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::Func;

RunningStats running_stats(const Func& running_mean, const Func& running_var, const Func& mean,
                           const Func& m2, const Expr& count, const Expr& factor) {
  RunningStats r;
  const auto blend = [&](const Func& old, const Expr& fresh) {
    return cast(old.type(), (1 - factor) * cast<double>(old(r.c)) + factor * fresh);
  };
  r.mean(r.c) = blend(running_mean, mean(r.c));
  r.var(r.c) = blend(running_var, m2(r.c) * (1 / (count - 1)));
  return r;
}

FixedStatistics fixed_statistics(const Func& running_mean, const Func& running_var,
                                 const Expr& eps) {
  FixedStatistics s;
  s.mean(s.c) = cast<double>(running_mean(s.c));
  s.invstd(s.c) = 1 / sqrt(cast<double>(running_var(s.c)) + eps);
  return s;
}

}  // namespace halnorm::algorithm
