#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "wide.h"

/// @file
/// The reference of the tests: batch normalization from its formulas, in two passes with plain
/// sums, element by element. It computes in long double, with 64 bits of mantissa on x86 and 113 on
/// 64-bit ARM, or in a type of our own, so that it is more exact than float64. It shares no code
/// and no type with the library.

namespace oracle {

using Real = std::conditional_t<(LDBL_MANT_DIG >= 64), long double, Wide>;
using Values = std::vector<Real>;

inline long double root_of(long double a) { return std::sqrt(a); }
inline bool is_nan(long double a) { return std::isnan(a); }
inline Real magnitude_of(const Real& a) { return a < 0 ? -a : a; }

/// A dense batch in (N, C, L) order, last axis innermost.
struct Batch {
  std::int64_t n = 0;
  std::int64_t c = 0;
  std::int64_t l = 0;
  std::vector<double> values;

  [[nodiscard]] std::int64_t per_channel() const { return n * l; }
  [[nodiscard]] std::size_t index(std::int64_t in, std::int64_t ic, std::int64_t il) const {
    return static_cast<std::size_t>((in * c + ic) * l + il);
  }
};

/// Per channel: the mean and the sum of squared deviations from it.
struct Statistics {
  std::int64_t count = 0;
  Values mean;
  Values m2;

  [[nodiscard]] Values biased_variance() const;
  [[nodiscard]] Values invstd(double eps) const;
};

struct Gradients {
  Values dx;
  Values dweight;
  Values dbias;
};

struct Running {
  Values mean;
  Values variance;
};

Statistics statistics(const Batch& x);

/// (x - mean) * invstd * weight + bias.
Values normalize(const Batch& x, const Values& mean, const Values& invstd, const Values& weight,
                 const Values& bias);

Values train(const Batch& x, const Values& weight, const Values& bias, double eps);
Values infer(const Batch& x, const Running& running, const Values& weight, const Values& bias,
             double eps);

/// Gradients of sum(dy * train(x)).
Gradients backward(const Batch& dy, const Batch& x, const Values& weight, double eps);
/// The same with given statistics of x.
Gradients backward(const Batch& dy, const Batch& x, const Statistics& batch, const Values& weight,
                   double eps);

/// Gradients of sum(dy * infer(x)).
Gradients backward_infer(const Batch& dy, const Batch& x, const Running& running,
                         const Values& weight, double eps);

/// (1 - factor) * running + factor * batch, with the unbiased variance.
Running updated(const Running& running, const Statistics& batch, double factor);

/// 1 / sqrt(variance + eps) per channel.
Values invstd_of(const Values& variance, double eps);

}  // namespace oracle
