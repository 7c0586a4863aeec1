#include "wide.h"

#include <cmath>

namespace halnorm::detail {

namespace {

// Half of float32's exponent range, less room for the count: squares within it neither overflow nor
// lose digits to subnormals.
constexpr double least_variance = 1e-30;
constexpr double greatest_variance = 1e33;

// Two float32 values about this mean differ by more than the square root of what vanishes, or not
// at all: without a deviation the channel is constant.
constexpr double least_mean = 1e-7;

// The cube of this, times the data, stays within float32.
constexpr double greatest_steepness = 1e9;

}  // namespace

std::vector<std::int64_t> overflowed_channels(const Tensor& x, const Tensor& mean, const Tensor& m2,
                                              double count, double eps) {
  std::vector<std::int64_t> found;
  // A device's sums are double, and asking it would mean to wait for it.
  if (x.dtype() == DType::Float64 || x.device() != Device::cpu()) {
    return found;
  }
  const double* means = mean.data<double>();
  const double* squares = m2.data<double>();
  const std::int64_t channels = m2.numel();
  // In terms of m2, so that a small call pays for no division.
  const double most = greatest_variance * count;
  const double least = (least_variance - eps) * count;
  for (std::int64_t c = 0; c < channels; ++c) {
    const bool within = squares[c] < most && squares[c] >= least;
    const bool constant = squares[c] == 0 && std::fabs(means[c]) > least_mean;
    if (!within && !constant) {  // which a NaN is not either
      found.push_back(c);
    }
  }
  return found;
}

std::vector<std::int64_t> steep_channels(const Tensor& x, const Tensor& invstd) {
  std::vector<std::int64_t> found;
  // A device's sums are double, and asking it would mean to wait for it.
  if (x.dtype() == DType::Float64 || x.device() != Device::cpu()) {
    return found;
  }
  const double* values = invstd.data<double>();
  const std::int64_t channels = invstd.numel();
  for (std::int64_t c = 0; c < channels; ++c) {
    if (values[c] > greatest_steepness || values[c] < 1 / greatest_steepness) {
      found.push_back(c);
    }
  }
  return found;
}

Tensor channel_of(const Tensor& t, std::int64_t channel) {
  return t.narrow(t.dim() == 1 ? 0 : 1, channel, 1);
}

Tensor wide_channel(const Tensor& t, std::int64_t channel) {
  return t.defined() ? channel_of(t, channel).to(DType::Float64) : t;
}

}  // namespace halnorm::detail
