#pragma once

#include <optional>
#include <string>
#include <utility>

#include "distributed/agree.h"
#include "functional/fused_functions.h"
#include "halnorm/functional_fused.h"
#include "halnorm/tensor.h"

/// @file
/// Batch normalization of a batch that is split over the ranks of a placement, with the statistics
/// of the whole batch. Each rank calls the split forms of the public functions on its part, with
/// one exchange between them, which agree_and_gather() makes. Parts are merged in the order of
/// ranks, so that all ranks have the same bits.

namespace halnorm::HALNORM_ABI::detail {

/// One forward on this rank's part of a batch; running statistics are updated if `factor` has a
/// value.
struct GlobalForward {
  Placement placement;
  std::string operation;
  Tensor x, weight, bias, running_mean, running_var;
  std::optional<double> factor;
  double eps = 0;
  const nn::detail::FusedFunctions* fused = nullptr;  ///< for y = relu(y + addend)
  double slope = 0;                                   ///< of relu below 0
  Tensor addend;                                      ///< undefined for none
  Tensor out;
};

struct GlobalForwardResult {
  Tensor y, mean, invstd;
  double count = 0;  ///< values per channel, of all ranks
};

/// Shares 2 C + 1 doubles: count, means and sums of squares.
class GlobalTrain : public SharedSums {
 public:
  explicit GlobalTrain(GlobalForward call) : call_(std::move(call)) {}

  /// Checks and allocates. Not collective; to be called by agree_and_gather().
  void prepare(Terms& terms);
  void compute() override;
  /// After the exchange. All ranks throw ValueError if the whole batch has one value per channel.
  GlobalForwardResult run();

 private:
  [[nodiscard]] functional::Moments merged();
  [[nodiscard]] Tensor normalize(const functional::Moments& all, const Tensor& invstd) const;

  GlobalForward call_;
  Tensor y_;
};

/// The backward of a forward on this rank's part; of an eval forward if `count` is 0.
struct GlobalBackward {
  Placement placement;
  std::string operation;
  Tensor dy, x;
  Tensor y;                                           ///< of a fused forward, otherwise undefined
  const nn::detail::FusedFunctions* fused = nullptr;  ///< of the same
  double slope = 0;                                   ///< of the same
  Tensor weight;
  Tensor mean, invstd;  ///< Float64
  double count = 0;
};

/// daddend is undefined unless the forward was fused; dweight and dbias are Float64 sums over all
/// ranks.
using GlobalBackwardResult = functional::BatchNormFusedBackward;

/// Shares 2 C doubles.
class GlobalGradient : public SharedSums {
 public:
  explicit GlobalGradient(GlobalBackward call) : call_(std::move(call)) {}

  /// Checks and allocates, like GlobalTrain::prepare().
  void prepare(Terms& terms);
  void compute() override;
  /// After the exchange.
  GlobalBackwardResult run();

 private:
  GlobalBackward call_;
  Tensor dy_;  ///< masked by the relu
};

/// 1 / sqrt(var + eps) in Float64.
Tensor invstd_of(const Tensor& var, double eps);

}  // namespace halnorm::HALNORM_ABI::detail
