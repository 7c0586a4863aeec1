#pragma once

#include "summation.h"

namespace halnorm::algorithm {

/// The gradient through y = relu(...): dy if y > 0 or y is NaN, otherwise slope * dy. A NaN must
/// not have a gradient of zero.
Halide::Func rectified(const Halide::Func& dy, const Halide::Func& y, const Domain& domain,
                       const Halide::Expr& slope);

/// The per-channel sums of a backward pass.
struct GradientSums {
  Halide::Var c{"c"};
  Halide::Func center{"center"};          ///< (c): the mean's upper part, in the accumulator's type
  Reduction about_center;                 ///< merged is (c): Tuple(sum(dy), sum(dy * (x - center)))
  Halide::Func sum_dy{"sum_dy"};          ///< (c): sum(dy), double
  Halide::Func sum_dy_xmu{"sum_dy_xmu"};  ///< (c): sum(dy * (x - mean)), double
};
GradientSums gradient_sums(const Halide::Func& dy, const Halide::Func& x, const Halide::Func& mean,
                           std::unique_ptr<Summation> summation);

/// dx = weight * invstd * (dy - sum_dy / count - (x - mean) * invstd^2 * sum_dy_xmu / count), as
/// dy * a + (x - center) * b + d. Ioffe and Szegedy 2015, section 3.
struct InputGradient {
  Halide::Var l{"l"}, c{"c"}, n{"n"};
  Halide::Func center{"dx_center"};     ///< (c)
  Halide::Func origin{"dx_origin"};     ///< (c): center again, for dx alone: see Normalize
  Halide::Func a{"a"}, b{"b"}, d{"d"};  ///< (c), in the accumulator's type
  Halide::Func a_low{"a_low"};          ///< (c): the rounding error of a; undefined but for float32
  Halide::Func dx{"dx"};                ///< (l, c, n) or (c, n)
};
InputGradient input_gradient(const Halide::Func& dy, const Halide::Func& x, const Domain& domain,
                             const Halide::Func& mean, const Halide::Func& invstd,
                             const Halide::Func& weight, const Halide::Func& sum_dy,
                             const Halide::Func& sum_dy_xmu, const Halide::Expr& count);

/// With statistics that do not depend on x: dx = dy * a, a = weight * invstd.
InputGradient input_gradient_of_fixed_statistics(const Halide::Func& dy, const Domain& domain,
                                                 const Halide::Func& invstd,
                                                 const Halide::Func& weight);

}  // namespace halnorm::algorithm
