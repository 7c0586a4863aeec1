#pragma once

#include <utility>

#include "../schedule.h"

namespace halnorm::schedule {

/// Few values, NLC: each vector of channels is computed from its sums to its y, so that the values
/// per channel stay in registers or on the stack.
class CpuSinglePass final : public ReducingSchedule {
 public:
  /// With the sums of `architecture`, but one block, because the caller has few rows.
  CpuSinglePass(std::unique_ptr<Schedule> architecture, Strides strides)
      : architecture_(std::move(architecture)), strides_(std::move(strides)) {}

  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const override;
  void train(algorithm::Reduction& m, algorithm::Normalize& s, const Output& y,
             const PerChannel& statistics) const override;
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g, const Output& dx,
                const PerChannel& gradients) const override;

 private:
  std::unique_ptr<Schedule> architecture_;
  Strides strides_;
};

}  // namespace halnorm::schedule
