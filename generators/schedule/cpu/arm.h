#pragma once

#include "cpu.h"

namespace halnorm::schedule {

/// NEON, 64 and 32 bit: vectors of 16 bytes, no masks, two pipes for arithmetic, 32 to 64 KB of L1,
/// an L2 of 512 KB to 1 MB that little cores share, and often no L3.
class Arm final : public Cpu {
 public:
  Arm(const Halide::Target& target, const Tuning& tuning, const Strides& strides);

 protected:
  [[nodiscard]] BlockSizes block_sizes(algorithm::Layout layout,
                                       const SumOptions& options) const override;
  [[nodiscard]] int step_of(Halide::Type data) const override;
  void write_along(Halide::Stage y, const Halide::Var& l, const Halide::Type& data) const override;
  void write_across(Halide::Stage y, const Halide::Var& c, const Halide::Var& n,
                    const Halide::Type& data) const override;

 private:
  bool is_64_bit_;
};

}  // namespace halnorm::schedule
