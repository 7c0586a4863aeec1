#pragma once

#include <utility>

#include "schedule.h"

namespace halnorm::schedule {

/// train() and backward() for few values, NLC: each vector of channels is computed from its sums to
/// its y, so that the values per channel stay in registers or on the stack. The other operations
/// are not called.
class CpuSinglePass final : public Schedule {
 public:
  /// With the block sizes of `architecture`, but one block, because the caller has few rows.
  CpuSinglePass(std::unique_ptr<Schedule> architecture, Strides strides)
      : architecture_(std::move(architecture)), strides_(std::move(strides)) {}

  [[nodiscard]] algorithm::BlockSizes block_sizes(algorithm::Layout layout, Halide::Type data,
                                                  bool in_double) const override {
    algorithm::BlockSizes sizes = architecture_->block_sizes(layout, data, in_double);
    sizes.whole = true;
    return sizes;
  }
  void train(algorithm::Reduction& m, algorithm::Normalize& s,
             const PerChannel& statistics) const override;
  void elementwise(algorithm::Normalize&, const algorithm::Domain&) const override {}
  void moments(algorithm::Reduction&, const PerChannel&) const override {}
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g,
                const PerChannel& gradients) const override;
  void backward_reduce(algorithm::GradientSums&, const PerChannel&) const override {}
  void backward_elementwise(algorithm::InputGradient&, const algorithm::Domain&) const override {}
  void rectified(algorithm::Rectified&, const algorithm::Domain&) const override {}
  void per_channel(const PerChannel&) const override {}

 private:
  std::unique_ptr<Schedule> architecture_;
  Strides strides_;
};

}  // namespace halnorm::schedule
