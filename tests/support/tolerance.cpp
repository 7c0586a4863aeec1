#include "support/tolerance.h"

#include <algorithm>
#include <cmath>

#include "support/cases/element.h"

namespace tolerance {

namespace {

double largest(const oracle::Values& values) {
  double most = 0;
  for (const oracle::Real& value : values) {
    most = std::max(most, std::fabs(static_cast<double>(value)));
  }
  return most;
}

std::vector<double> doubles(const oracle::Values& values) {
  std::vector<double> result;
  result.reserve(values.size());
  for (const oracle::Real& value : values) {
    result.push_back(static_cast<double>(value));
  }
  return result;
}

/// The largest |mean| * invstd * |scale|, times the mean's own relative error.
double of_mean(halnorm::DType dtype, const oracle::Values& mean, const oracle::Values& invstd,
               const oracle::Values& scale) {
  oracle::Real most = 0;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    most = std::max(most, oracle::magnitude_of(mean[c] * invstd[c] * scale[c]));
  }
  const double held = dtype == halnorm::DType::Float64 ? 0.0 : 0x1p-48;
  return static_cast<double>(most) * (2 * 0x1p-53 + held);
}

}  // namespace

double relative(halnorm::DType dtype) {
  return dtype == halnorm::DType::Float64 ? 64 * 0x1p-53 : 17 * 0x1p-24;
}

double storing(halnorm::DType dtype, double value) {
  if (halnorm::size_of(dtype) > 2) {
    return 0;
  }
  return std::fabs(value) * element::roundoff(dtype) * (1 + 0x1p-10) +
         element::half_subnormal(dtype);
}

double normalized(halnorm::DType dtype, const oracle::Values& y, const oracle::Values& mean,
                  const oracle::Values& invstd, const oracle::Values& weight) {
  return relative(dtype) * largest(y) + of_mean(dtype, mean, invstd, weight);
}

// A double is exact enough for the magnitude of terms.
OfGradients gradients(halnorm::DType dtype, const oracle::Batch& dy, const oracle::Batch& x,
                      const oracle::Values& mean, const oracle::Values& invstd,
                      const oracle::Values& weight, const oracle::Gradients& truth) {
  const auto count = static_cast<double>(x.per_channel());
  const std::size_t channels = mean.size();
  const std::vector<double> means = doubles(mean);
  const std::vector<double> scales = doubles(invstd);
  const std::vector<double> weights = doubles(weight);
  const std::vector<double> dbias = doubles(truth.dbias);
  const std::vector<double> dweight = doubles(truth.dweight);
  std::vector<double> squares(channels, 0);
  std::vector<double> weighted_squares(channels, 0);
  double most = 0;
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const std::size_t c = (i / static_cast<std::size_t>(x.l)) % channels;
    const double xhat = (x.values[i] - means[c]) * scales[c];
    const double weighted = xhat * dy.values[i];
    const double terms = std::fabs(dy.values[i]) + std::fabs(dbias[c] / count) +
                         std::fabs(xhat * dweight[c] / count);
    most = std::max(most, std::fabs(weights[c] * scales[c]) * terms);
    squares[c] += dy.values[i] * dy.values[i];
    weighted_squares[c] += weighted * weighted;
  }
  const auto root = [](const std::vector<double>& sums) {
    return std::sqrt(*std::max_element(sums.begin(), sums.end()));
  };
  const double sums = 168 * (dtype == halnorm::DType::Float64 ? 0x1p-53 : 0x1p-24);
  const auto scale = [&](const std::vector<double>& squared, const oracle::Values& total) {
    return std::max(root(squared), largest(total));
  };
  const double shift = of_mean(dtype, mean, invstd, oracle::Values(channels, 1));
  // sum(dy * error of xhat) is at most sqrt(M * sum(dy^2)) times the error of one xhat.
  const double reach = std::sqrt(count) * root(squares);
  return {(sums + shift) * most, sums * scale(weighted_squares, truth.dweight) + shift * reach,
          sums * scale(squares, truth.dbias)};
}

}  // namespace tolerance
