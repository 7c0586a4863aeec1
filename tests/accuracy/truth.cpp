#include "truth.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace accuracy {

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

/// One channel's part of the truth.
void fill_channel(const Batch& x, const Batch& dy, double eps, std::int64_t channel, Truth& truth) {
  const auto count = static_cast<Real>(x.rows);
  const auto at = [&](std::int64_t row) {
    return static_cast<std::size_t>(row * x.channels + channel);
  };
  Real mean = 0;
  Real sum_dy = 0;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    mean += x.values[at(row)] / count;
    sum_dy += dy.values.empty() ? 0 : dy.values[at(row)];
  }
  Real squares = 0;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const Real deviation = x.values[at(row)] - mean;
    squares += deviation * deviation;
  }
  const Real invstd = 1 / std::sqrt(squares / count + Real{eps});
  truth.mean.push_back(mean);
  truth.variance.push_back(squares / (count - 1));
  if (dy.values.empty()) {
    return;
  }
  Real dweight = 0;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    truth.y[at(row)] = (x.values[at(row)] - mean) * invstd;
    dweight += dy.values[at(row)] * truth.y[at(row)];
  }
  truth.dweight.push_back(dweight);
  for (std::int64_t row = 0; row < x.rows; ++row) {
    truth.dx[at(row)] =
        invstd * (dy.values[at(row)] - sum_dy / count - truth.y[at(row)] * dweight / count);
  }
}

template <class Scale>
double worst(const std::vector<double>& got, const std::vector<Real>& want, Scale scale) {
  double result = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto error = static_cast<double>(std::fabs(got[i] - want[i]));
    const double by = scale(i);
    if (!std::isfinite(got[i])) {
      return infinite;
    }
    result = std::max(result, by > 0 ? error / by : error);
  }
  return result;
}

}  // namespace

Truth truth_of(const Batch& x, const Batch& dy, double eps) {
  Truth truth;
  truth.y.resize(dy.values.size());
  truth.dx.resize(dy.values.size());
  for (std::int64_t channel = 0; channel < x.channels; ++channel) {
    fill_channel(x, dy, eps, channel, truth);
  }
  return truth;
}

double error_of(const std::vector<double>& got, const std::vector<Real>& want) {
  Real most = 0;
  for (const Real value : want) {
    most = std::max(most, std::fabs(value));
  }
  return worst(got, want, [&](std::size_t) { return static_cast<double>(most); });
}

double relative_error_of(const std::vector<double>& got, const std::vector<Real>& want) {
  return worst(got, want, [&](std::size_t i) { return static_cast<double>(std::fabs(want[i])); });
}

double ulps_of(const std::vector<double>& got, const std::vector<Real>& want,
               std::int64_t columns) {
  const auto step = static_cast<std::size_t>(columns);
  double worst = 0;
  for (std::size_t c = 0; c < step; ++c) {
    Real largest = 0;
    Real error = 0;
    for (std::size_t i = c; i < want.size(); i += step) {
      largest = std::max(largest, std::fabs(want[i]));
      error = std::max(error, std::fabs(Real{got[i]} - want[i]));
    }
    const auto rounded = static_cast<float>(largest);
    const Real ulp = Real{std::nextafter(rounded, HUGE_VALF)} - Real{rounded};
    worst = std::max(worst, static_cast<double>(error / ulp));
  }
  return worst;
}

}  // namespace accuracy
