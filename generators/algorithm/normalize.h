#pragma once

#include "layout.h"

namespace halnorm::algorithm {

/// y = (x - mean) * invstd * weight + bias, as (x - center) * scale + offset.
struct Normalize {
  Halide::Var l{"l"}, c{"c"}, n{"n"};
  Halide::Func invstd{"invstd_of_channel"};  ///< (c): double, computed once
  Halide::Func center{"center"};  ///< (c): the mean's upper part, in the accumulator's type
  /// (c): center again, for y alone. Func::in() in its place changes the order in which Halide
  /// computes the coefficients, and so the code of kernels.
  Halide::Func origin{"origin"};
  Halide::Func scale{"scale"};    ///< (c): weight * invstd
  Halide::Func offset{"offset"};  ///< (c): bias - (mean - center) * scale
  Halide::Func y{"y"};            ///< (l, c, n) or (c, n)
  bool rectifies = false;         ///< y ends in relu()
};

/// mean and invstd are double functions of c.
Normalize normalize(const Halide::Func& x, const Domain& domain, const Halide::Func& mean,
                    const Halide::Func& invstd, const Halide::Func& weight,
                    const Halide::Func& bias);

/// y = relu((x - mean) * invstd * weight + bias + addend), where relu(v) = v < 0 ? slope * v : v; a
/// NaN stays a NaN.
Normalize normalize_add_relu(const Halide::Func& x, const Halide::Func& addend,
                             const Domain& domain, const Halide::Func& mean,
                             const Halide::Func& invstd, const Halide::Func& weight,
                             const Halide::Func& bias, const Halide::Expr& slope);

}  // namespace halnorm::algorithm
