#pragma once

#include <initializer_list>

#include "channel_pair.h"
#include "halnorm/tensor.h"
#include "view.h"

namespace halnorm::detail {

/// Running statistics that a training forward updates: checked, and neither overlaps the other.
class RunningUpdate {
 public:
  RunningUpdate(const Tensor& running_mean, const Tensor& running_var, double factor)
      : running_{running_mean, running_var}, factor_(factor) {}

  /// Whether the training kernel for x can do it on its way: see ChannelPair.
  [[nodiscard]] bool goes_along(const Tensor& x,
                                std::initializer_list<const Tensor*> others) const {
    return running_.goes_along(x, others);
  }

  /// What such a kernel takes.
  [[nodiscard]] KernelBuffer mean() const;
  [[nodiscard]] KernelBuffer var() const;
  [[nodiscard]] const double& factor() const noexcept { return factor_; }

  /// Counts the writes, for a kernel that updates on its way; run() counts its own.
  void count_writes() const noexcept;

  /// The update in a kernel of its own.
  void run(const char* function, const Tensor& batch_mean, const Tensor& batch_m2,
           double count) const;

 private:
  ChannelPair running_;
  double factor_;
};

}  // namespace halnorm::detail
