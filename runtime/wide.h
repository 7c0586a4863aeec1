#pragma once

#include <cstdint>
#include <vector>

#include "halnorm/tensor.h"

/// @file
/// Channels whose float32 sums of squares leave float32's range. They are rare, so that a call is
/// made in float32 first, and such a channel again, alone, in float64.

namespace halnorm::detail {

/// Channels whose sum of squared deviations has overflowed, or may have vanished where eps does not
/// hide it. With `m2` of a Float64 call: none.
std::vector<std::int64_t> overflowed_channels(const Tensor& x, const Tensor& mean, const Tensor& m2,
                                              double count, double eps);

/// Channels whose gradient has coefficients (up to invstd^3) that leave float32's range.
std::vector<std::int64_t> steep_channels(const Tensor& x, const Tensor& invstd);

/// One channel of a data tensor or of a per-channel tensor, in Float64; undefined if t is.
Tensor wide_channel(const Tensor& t, std::int64_t channel);

/// The same as a view that can be written.
Tensor channel_of(const Tensor& t, std::int64_t channel);

}  // namespace halnorm::detail
