#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "halnorm/tensor.h"
#include "plan/view.h"

/// @file
/// The range fallback: channels whose float32 arithmetic leaves float32's range are computed again,
/// one by one, by the float64 kernels. docs/decisions/009 derives the bounds.
///
/// A list of channels is empty if the data is Float64, or if it is on a device, whose statistics
/// the host does not read. A channel with NaN statistics is not in it, except in training.

namespace halnorm::HALNORM_ABI::detail {

/// 1 / sqrt(var + eps) of each channel, made of invstds or of variances and eps.
class InvstdOrVar {
 public:
  explicit InvstdOrVar(const Tensor& invstd);  ///< Float64, dense
  InvstdOrVar(const Channels& variances, double eps) : values_(variances), eps_(eps) {}

  [[nodiscard]] std::int64_t size() const noexcept { return values_.count; }
  [[nodiscard]] double at(std::int64_t channel) const noexcept;
  /// True only if every invstd is at least `least` and at most `most`. It computes no root, and so
  /// may be false for variances near a bound.
  [[nodiscard]] bool all_within(double least, double most) const noexcept;

 private:
  Channels values_;
  std::optional<double> eps_;
};

/// Whether a call with x has a range fallback: it computes on the host, in float32.
bool computes_in_float32(const Tensor& x) noexcept;

/// Channels whose moments, or whose y in training, leave float32's range. `m2` is Float64.
std::vector<std::int64_t> extreme_moments(const Tensor& x, const Tensor& mean, const Tensor& m2,
                                          double count, double eps, const Channels& weight);

/// Channels whose y = (x - mean) * invstd * weight + bias leaves float32's range.
std::vector<std::int64_t> extreme_forward(const Tensor& x, const Channels& mean,
                                          const InvstdOrVar& invstd, const Channels& weight);

/// These show whether the terms of dx leave float32's range. They are Float64 and contiguous: the
/// sums of dy and of dy * (x - mean) over x, or over a larger batch with x as a part, or the
/// gradients of bias and weight over x alone. dweight is the second sum times invstd.
struct SumsOrGradients {
  const Tensor &sum_dy, &xmu_or_dweight;
  bool is_dweight;
  double count;
};

/// Channels whose sums or dx leave float32's range. The sums may be those of the float32 kernel.
std::vector<std::int64_t> extreme_gradients(const Tensor& x, const Channels& mean,
                                            const InvstdOrVar& invstd, const Channels& weight,
                                            const SumsOrGradients& sums);

/// Whether a call that writes `out` overwrites an `input` that the range fallback would still read.
bool loses_extremes(const Tensor& out, const Tensor& input);

/// One channel of a data tensor or of a per-channel tensor, in Float64; undefined if t is.
Tensor range_fallback_channel(const Tensor& t, std::int64_t channel);

/// Rounds the range fallback's result for one channel into its place in `target`.
void store_channel(const Tensor& target, std::int64_t channel, const Tensor& result);

}  // namespace halnorm::HALNORM_ABI::detail
