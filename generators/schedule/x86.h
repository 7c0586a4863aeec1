#pragma once

#include "schedule.h"

namespace halnorm::schedule {

/// SSE4.1 to AVX-512: vectors of 16 to 64 bytes, 1 MB of L2 a core, few cores on a shared L3.
class X86 final : public Schedule {
 public:
  X86(const Halide::Target& target, const Tuning& tuning);

  [[nodiscard]] algorithm::BlockSizes block_sizes(algorithm::Layout layout,
                                                  Halide::Type data) const override;
  void train(algorithm::Reduction& m, algorithm::Normalize& s,
             const PerChannel& statistics) const override;
  void elementwise(algorithm::Normalize& s, const algorithm::Domain& domain) const override;
  void moments(algorithm::Reduction& m, const PerChannel& statistics) const override;
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g,
                const PerChannel& gradients) const override;
  void backward_reduce(algorithm::GradientSums& s, const PerChannel& sums) const override;
  void backward_elementwise(algorithm::InputGradient& g,
                            const algorithm::Domain& domain) const override;
  void per_channel(const PerChannel& outputs) const override;

 private:
  [[nodiscard]] int vector(Halide::Type t) const { return target_.natural_vector_size(t); }

  Halide::Target target_;
  Tuning tuning_;
};

}  // namespace halnorm::schedule
