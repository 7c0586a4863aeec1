#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// running = (1 - factor) * running + factor * batch, for the mean and the unbiased variance
/// m2 / (count - 1), computed in double. Ioffe and Szegedy 2015, section 3.1.
struct RunningStats {
  Halide::Var c{"c"};
  Halide::Func mean{"new_running_mean"};  ///< (c)
  Halide::Func var{"new_running_var"};    ///< (c)
};
RunningStats running_stats(const Halide::Func& running_mean, const Halide::Func& running_var,
                           const Halide::Func& mean, const Halide::Func& m2,
                           const Halide::Expr& count, const Halide::Expr& factor);

/// The statistics of inference, which do not depend on x, in double.
struct FixedStatistics {
  Halide::Var c{"c"};
  Halide::Func mean{"mean"};      ///< (c): running_mean
  Halide::Func invstd{"invstd"};  ///< (c): 1 / sqrt(running_var + eps)
};
FixedStatistics fixed_statistics(const Halide::Func& running_mean, const Halide::Func& running_var,
                                 const Halide::Expr& eps);

}  // namespace halnorm::algorithm
