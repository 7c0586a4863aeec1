#include "wide.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "data_view.h"
#include "tensor_impl.h"

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

/// A device's sums are double, and asking it would mean to wait for it.
bool sums_in_float32(const Tensor& x) noexcept {
  return TensorAccess::of(x).dtype != DType::Float64 && memory_of(x) == nullptr;
}

/// Whether every value is at least 0 and `least`, and below `most`. Such numbers are ordered as
/// their bits are, and compared as integers, which a compiler does for several at a time.
bool all_within(const double* values, std::int64_t count, double least, double most) noexcept {
  const auto lowest = std::bit_cast<std::uint64_t>(std::max(least, 0.0));
  const auto highest = std::bit_cast<std::uint64_t>(most) - 1;
  std::uint64_t outside = 0;  // has the sign of a difference that is negative
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = std::bit_cast<std::uint64_t>(values[i]);
    outside |= (value - lowest) | (highest - value) | value;
  }
  return outside >> 63 == 0;
}

}  // namespace

std::vector<std::int64_t> overflowed_channels(const Tensor& x, const Tensor& mean, const Tensor& m2,
                                              double count, double eps) {
  std::vector<std::int64_t> found;
  if (!sums_in_float32(x)) {
    return found;
  }
  const double* means = channels_of(mean).doubles();
  const double* squares = channels_of(m2).doubles();
  const std::int64_t channels = TensorAccess::of(m2).numel;
  // In terms of m2, so that a small call pays for no division.
  const double most = greatest_variance * count;
  const double least = (least_variance - eps) * count;
  if (all_within(squares, channels, least, most)) {
    return found;
  }
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
  if (!sums_in_float32(x)) {
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
