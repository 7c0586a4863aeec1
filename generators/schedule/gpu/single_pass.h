#pragma once

#include "gpu.h"

namespace halnorm::schedule {

/// train() and backward() in one launch: a block of threads sums a few neighbouring channels, and
/// writes them while they are in cache. The other operations are not called.
class GpuSinglePass final : public Gpu {
 public:
  using Gpu::Gpu;

  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const override;
  void train(algorithm::Reduction& m, algorithm::Normalize& s, const Output& y,
             const PerChannel& statistics) const override;
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g, const Output& dx,
                const PerChannel& gradients) const override;
};

}  // namespace halnorm::schedule
