#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "functional/range/range_fallback.h"
#include "halnorm/tensor.h"

/// @file
/// The range fallback of backward passes, whose sums show which channels are extreme.

namespace halnorm::HALNORM_ABI::detail {

/// sum(dy) and sum(dy * (x - mean)) in Float64, by the kernel for x. Arguments are checked, and the
/// batch is not empty.
std::pair<Tensor, Tensor> gradient_sums(const char* function, const Tensor& dy, const Tensor& x,
                                        const Tensor& mean);

/// The extreme channels of a backward pass, for its statistics and weight in the kernel's dtypes.
class GradientFallback {
 public:
  GradientFallback(const Tensor& x, const Tensor& mean, const Tensor& weight,
                   const InvstdOrVar& invstd)
      : x_(x), mean_(mean), weight_(weight), invstd_(invstd) {}

  /// The extreme channels by dweight and dbias in Float64. None if keep() returned dy itself, and
  /// dx has overwritten it.
  [[nodiscard]] std::vector<std::int64_t> channels(const Tensor& dweight,
                                                   const Tensor& dbias) const;

  /// The extreme channels by the sums over `count` values, of which x may be a part.
  [[nodiscard]] std::vector<std::int64_t> channels(const Tensor& sum_dy, const Tensor& sum_dy_xmu,
                                                   double count) const;

  /// dy, or a copy of it if dx overwrites it and a channel is extreme. Reads dy and x if dx
  /// overwrites dy.
  [[nodiscard]] Tensor keep(const char* function, const Tensor& dy, const Tensor& out);

 private:
  const Tensor &x_, &mean_, &weight_;
  const InvstdOrVar& invstd_;
  // The sums of the kernel and of keep() may differ by a rounding. A channel that is extreme by one
  // of them alone is at a bound, and there float32 is right too.
  bool overwritten_ = false;
};

}  // namespace halnorm::HALNORM_ABI::detail
