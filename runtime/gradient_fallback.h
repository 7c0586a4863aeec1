#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "halnorm/tensor.h"
#include "wide.h"

/// @file
/// The range fallback of backward passes, whose sums show which channels are extreme.

namespace halnorm::detail {

/// sum(dy) and sum(dy * (x - mean)) in Float64, as the kernel for x gives them. Arguments are
/// checked, and the batch is not empty.
std::pair<Tensor, Tensor> gradient_sums(const char* function, const Tensor& dy, const Tensor& x,
                                        const Tensor& mean);

/// Statistics and weight of a backward pass, in the dtypes of its kernel.
struct GradientFallback {
  const Tensor &x, &mean, &weight;
  const InvstdOrVar& invstd;

  /// The extreme channels, by dweight and dbias in Float64.
  [[nodiscard]] std::vector<std::int64_t> channels(const Tensor& dweight,
                                                   const Tensor& dbias) const;

  /// The same, by the sums over `count` values, of which x may be a part.
  [[nodiscard]] std::vector<std::int64_t> channels(const Tensor& sum_dy, const Tensor& sum_dy_xmu,
                                                   double count) const;

  /// dy, or a copy of it if dx overwrites it and a channel is extreme. Reads dy and x if dx
  /// overwrites dy.
  [[nodiscard]] Tensor kept(const char* function, const Tensor& dy, const Tensor& out) const;
};

}  // namespace halnorm::detail
