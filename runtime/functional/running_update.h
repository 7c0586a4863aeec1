#pragma once

#include <initializer_list>
#include <optional>
#include <utility>

#include "functional/arguments/channel_pair.h"
#include "halnorm/tensor.h"
#include "plan/execution/execute.h"

namespace halnorm::HALNORM_ABI::detail {

/// Running statistics that a training forward updates, once they are checked.
class RunningUpdate {
 public:
  RunningUpdate(const Tensor& running_mean, const Tensor& running_var, double factor)
      : running_{running_mean, running_var}, factor_(factor) {}

  /// The running statistics for the training kernel of x, if the kernel can update them (see
  /// ChannelPair).
  [[nodiscard]] std::optional<RunningStatistics> statistics_for(
      const Tensor& x, std::initializer_list<const Tensor*> others) const;

  /// running_mean and running_var.
  [[nodiscard]] std::pair<const Tensor*, const Tensor*> tensors() const noexcept {
    return {&running_.first, &running_.second};
  }

  [[nodiscard]] double factor() const noexcept { return factor_; }

  /// Counts the writes of a training kernel that updates; run() counts its own writes.
  void count_writes() const noexcept;

  /// Updates in a separate kernel.
  void run(const char* function, const Tensor& batch_mean, const Tensor& batch_m2,
           double count) const;

 private:
  ChannelPair running_;
  double factor_;
};

}  // namespace halnorm::HALNORM_ABI::detail
