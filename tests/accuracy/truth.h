#pragma once

#include <cstdint>
#include <vector>

/// @file
/// Batch normalization from its formulas, in two passes in long double, channel by channel. The
/// errors of the library are relative to these results.

namespace accuracy {

using Real = long double;

/// A batch of (rows, channels), in row-major order.
struct Batch {
  std::int64_t rows, channels;
  std::vector<double> values;
};

/// Per channel, and y and dx like the batch; weight 1, bias 0.
struct Truth {
  std::vector<Real> y, dx, mean, variance, dweight;  ///< variance is the unbiased one
};
Truth truth_of(const Batch& x, const Batch& dy, double eps);

/// The largest |got - want|, relative to the largest |want|; infinite if a value is not finite.
double error_of(const std::vector<double>& got, const std::vector<Real>& want);
/// The same with each value relative to itself.
double relative_error_of(const std::vector<double>& got, const std::vector<Real>& want);

/// The largest |got - want| in float32 ulp of the largest |want| of the same column of `columns`.
double ulps_of(const std::vector<double>& got, const std::vector<Real>& want, std::int64_t columns);

}  // namespace accuracy
