#include "functional/range/range_fallback.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/strides.h"
#include "functional/arguments/data_view.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

using List = std::vector<std::int64_t>;

// The variance is within half of float32's exponent range, less a margin for the count: squares
// then neither overflow nor lose digits to subnormals.
constexpr double least_variance = 1e-30;
constexpr double greatest_variance = 1e33;

// Two float32 values about this mean are equal, or the square of their difference does not vanish.
// So a channel without a deviation is constant.
constexpr double least_mean = 1e-7;

// Half the distance between float32's two largest values: adding less keeps any of them finite.
constexpr double no_step = 0x1p103;

constexpr double least_normal = 0x1p-126;  // of float32

// A smaller weight is a pruned one: its products may lose digits, below least_normal.
constexpr double least_weight = 0x1p-100;

// The cube of this, times the data, stays within float32.
constexpr double greatest_invstd = 1e9;

// With a smaller invstd no dy loses digits above least_normal: a subnormal product has an error of
// 2^-150, and times this bound the error is below least_normal.
constexpr double plain_invstd = 0x1p23;

/// Whether every value is at least 0 and `least`, and at most `most`. Numbers from 0 on have the
/// order of their bits: they are compared as integers, and a compiler vectorizes the loop.
bool all_between(const double* values, std::int64_t count, double least, double most) noexcept {
  const auto lowest = std::bit_cast<std::uint64_t>(std::max(least, 0.0));
  const auto highest = std::bit_cast<std::uint64_t>(most);
  std::uint64_t outside = 0;  // has the sign of a difference that is negative
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = std::bit_cast<std::uint64_t>(values[i]);
    outside |= (value - lowest) | (highest - value) | value;
  }
  return outside >> 63 == 0;
}

template <class Bits, class Float>
bool magnitudes_within(const Float* values, std::int64_t count, double most) noexcept {
  constexpr Bits magnitude = static_cast<Bits>(~Bits{0}) >> 1;
  const auto highest = std::bit_cast<Bits>(static_cast<Float>(most));
  Bits outside = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    outside |= highest - (std::bit_cast<Bits>(values[i]) & magnitude);
  }
  return outside <= magnitude;
}

/// True only if no magnitude is above `most`, a float32. False for values with gaps.
bool all_within(const Channels& values, double most) noexcept {
  if (values.stride != 0 && values.stride != 1) {
    return false;
  }
  const std::int64_t count = values.stride == 0 ? 1 : values.count;
  return values.dtype == DType::Float64
             ? magnitudes_within<std::uint64_t>(values.doubles(), count, most)
             : magnitudes_within<std::uint32_t>(static_cast<const float*>(values.data), count,
                                                most);
}

bool scale_leaves_float32(double weight, double invstd) noexcept {
  const double scale = std::fabs(weight * invstd);
  const bool overflows = scale >= 0x1p127 && std::isfinite(scale);
  const bool loses_digits = scale > 0 && scale < least_normal && std::fabs(weight) >= least_weight;
  return overflows || loses_digits;
}

/// Whether x - mean overflows for some x.
bool is_far(double mean) noexcept { return std::fabs(mean) >= no_step && std::isfinite(mean); }

bool is_extreme_forward(double mean, double invstd, double weight) noexcept {
  return is_far(mean) || scale_leaves_float32(weight, invstd);
}

bool are_extreme_moments(double mean, double m2, double count, double eps) noexcept {
  const bool within = m2 < greatest_variance * count && m2 >= (least_variance - eps) * count;
  const bool constant = m2 == 0 && std::fabs(mean) > least_mean;
  return !(within || constant) || !std::isfinite(mean);  // both are false for a NaN
}

/// dx = dy * a + (x - mean) * b + d, where a * |dweight| bounds the second term by Cauchy and
/// Schwarz, and a * |sum_dy| the third. `invstd` is a magnitude.
bool is_extreme_gradient(double mean, double invstd, double weight, double sum_dy, double dweight,
                         double count) noexcept {
  const double a = std::fabs(weight) * invstd;
  if (std::isnan(a) || std::isnan(mean)) {
    return false;
  }
  const double slope = a * std::fabs(dweight);
  const bool steep = invstd > greatest_invstd || invstd < 1 / greatest_invstd;
  const bool stays_finite = slope < no_step && a * std::fabs(sum_dy) < no_step;  // false for a NaN
  const bool products_vanish =
      invstd > plain_invstd && std::fabs(dweight) < invstd * count * least_normal;
  const bool slope_vanishes =
      invstd < 1 / plain_invstd && dweight != 0 && slope * invstd < count * least_normal;
  return steep || is_far(mean) || scale_leaves_float32(weight, invstd) || !stays_finite ||
         products_vanish || slope_vanishes;
}

template <class IsExtreme>
List channels_where(std::int64_t channels, IsExtreme is_extreme) {
  List found;
  for (std::int64_t c = 0; c < channels; ++c) {
    if (is_extreme(c)) {
      found.push_back(c);
    }
  }
  return found;
}

Tensor channel_of(const Tensor& t, std::int64_t channel) {
  return t.narrow(t.dim() == 1 ? 0 : 1, channel, 1);
}

}  // namespace

bool computes_in_float32(const Tensor& x) noexcept {
  return TensorAccess::of(x).dtype != DType::Float64 && memory_of(x) == nullptr;
}

InvstdOrVar::InvstdOrVar(const Tensor& invstd) : values_(channels_of(invstd)) {}

double InvstdOrVar::at(std::int64_t channel) const noexcept {
  const double value = values_.at(channel);
  return eps_ ? 1 / std::sqrt(value + *eps_) : value;
}

bool InvstdOrVar::all_within(double least, double most) const noexcept {
  if (!eps_) {
    return all_between(values_.doubles(), values_.count, least, most);
  }
  const double half = 0.5 / (least * least);  // of the greatest var + eps
  return *eps_ * most * most >= 1 && *eps_ <= half && detail::all_within(values_, half);
}

// Each of these functions first tests all channels at once, in vectorized loops. If the test is
// true, each condition of the predicate above is false.

List extreme_moments(const Tensor& x, const Tensor& mean, const Tensor& m2, double count,
                     double eps, const Channels& weight) {
  if (!computes_in_float32(x)) {
    return {};
  }
  const double* means = channels_of(mean).doubles();
  const double* squares = channels_of(m2).doubles();
  // The bounds are those of m2, so that a small call needs no division. A sum of 0 is examined: an
  // infinite mean leaves it too.
  const double least = std::max((least_variance - eps) * count, 0x1p-1022);
  const double most = eps <= 0x1p51 && all_within(weight, 0x1p76) ? 0x1p51 * count : 0.0;
  if (all_between(squares, weight.count, least, most)) {
    return {};
  }
  return channels_where(weight.count, [&](std::int64_t c) {
    const bool plain = squares[c] >= least && squares[c] <= most;
    return !plain &&
           (are_extreme_moments(means[c], squares[c], count, eps) ||
            is_extreme_forward(means[c], 1 / std::sqrt(squares[c] / count + eps), weight.at(c)));
  });
}

List extreme_forward(const Tensor& x, const Channels& mean, const InvstdOrVar& invstd,
                     const Channels& weight) {
  if (!computes_in_float32(x) || (all_within(mean, 0x1p102) && invstd.all_within(0x1p-26, 0x1p50) &&
                                  all_within(weight, 0x1p76))) {
    return {};
  }
  return channels_where(mean.count, [&](std::int64_t c) {
    return is_extreme_forward(mean.at(c), invstd.at(c), weight.at(c));
  });
}

List extreme_gradients(const Tensor& x, const Channels& mean, const InvstdOrVar& invstd,
                       const Channels& weight, const SumsOrGradients& sums) {
  if (!computes_in_float32(x)) {
    return {};
  }
  const Channels sum_dy = channels_of(sums.sum_dy);
  const Channels second = channels_of(sums.xmu_or_dweight);
  // An x - mean that overflows shows in the gradients.
  const bool plain = invstd.all_within(1 / plain_invstd, plain_invstd) &&
                     all_within(weight, 0x1p20) && all_within(sum_dy, 0x1p59) &&
                     all_within(second, sums.is_dweight ? 0x1p59 : 0x1p59 / plain_invstd) &&
                     (sums.is_dweight || all_within(mean, 0x1p102));
  if (plain) {
    return {};
  }
  return channels_where(mean.count, [&](std::int64_t c) {
    const double r = std::fabs(invstd.at(c));
    const double dweight = second.at(c) * (sums.is_dweight ? 1 : r);
    return is_extreme_gradient(mean.at(c), r, weight.at(c), sum_dy.at(c), dweight, sums.count);
  });
}

bool loses_extremes(const Tensor& out, const Tensor& input) {
  return out.defined() && computes_in_float32(input) && may_overlap(out, input);
}

Tensor range_fallback_channel(const Tensor& t, std::int64_t channel) {
  return t.defined() ? channel_of(t, channel).to(DType::Float64) : t;
}

void store_channel(const Tensor& target, std::int64_t channel, const Tensor& result) {
  channel_of(target, channel).copy_(result);
}

}  // namespace halnorm::HALNORM_ABI::detail
