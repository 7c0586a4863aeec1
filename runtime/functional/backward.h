#pragma once

#include "functional/arguments/channel_pair.h"
#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::detail {

/// A backward whose arguments are checked; the batch may be empty.
struct BackwardCall {
  const char* function;
  const Tensor &dy, &x, &weight;
  const Tensor &mean, &invstd_or_var;  ///< the batch's in Float64, or running statistics
  const Tensor& out;
  const ChannelPair* sums = nullptr;  ///< for backward(): see channel_pair.h
  double eps = 0;                     ///< for backward_infer()
};

/// Computes in the data's dtype, or in Float64 if the weight is Float64. Channels that leave
/// float32's range are computed again in float64.
functional::BatchNormBackward backward(const BackwardCall& call);

/// The same with running statistics.
functional::BatchNormBackward backward_infer(const BackwardCall& call);

}  // namespace halnorm::HALNORM_ABI::detail
