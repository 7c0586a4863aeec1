#pragma once

#include "cpu.h"

namespace halnorm::schedule {

/// SSE4.1 to AVX-512: vectors of 16 to 64 bytes, 1 MB of L2 per core, few cores per L3.
class X86 final : public Cpu {
 public:
  X86(const Halide::Target& target, const Tuning& tuning, const Strides& strides);

 protected:
  [[nodiscard]] BlockSizes block_sizes(algorithm::Layout layout,
                                       const SumOptions& options) const override;
  [[nodiscard]] int step_of(Halide::Type data) const override;
  void write_along(Halide::Stage y, const Halide::Var& l, const Halide::Type& data) const override;
  void write_across(Halide::Stage y, const Halide::Var& c, const Halide::Var& n,
                    const Halide::Type& data) const override;
};

}  // namespace halnorm::schedule
