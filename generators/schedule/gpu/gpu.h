#pragma once

#include "../schedule.h"
#include "write.h"

namespace halnorm::schedule {

/// CUDA and OpenCL: thousands of threads in blocks that share fast memory, warps of 32 whose
/// neighbouring threads read neighbouring values.
class Gpu : public Schedule {
 public:
  /// `shuffles`: in NCL the sums of a warp are added by shuffles, which CUDA has.
  Gpu(const Halide::Target& target, const Tuning& tuning, std::vector<Halide::Expr> strides,
      bool shuffles)
      : target_(target), tuning_(tuning), strides_(std::move(strides)), shuffles_(shuffles) {}

  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const override;
  void train(algorithm::Reduction& m, algorithm::Normalize& s, const Output& y,
             const PerChannel& statistics) const override;
  void elementwise(algorithm::Normalize& s, const Output& y) const override;
  void moments(algorithm::Reduction& m, const PerChannel& statistics) const override;
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g, const Output& dx,
                const PerChannel& gradients) const override;
  void backward_reduce(algorithm::GradientSums& s, const PerChannel& sums) const override;
  void backward_elementwise(algorithm::InputGradient& g, const Output& dx) const override;
  void rectified(const Output& dx) const override;
  void per_channel(const PerChannel& outputs) const override;

 protected:
  [[nodiscard]] const Tuning& tuning() const { return tuning_; }
  [[nodiscard]] bool on_opencl() const { return target_.has_feature(Halide::Target::OpenCL); }
  [[nodiscard]] bool shuffles(algorithm::Layout layout) const {
    return shuffles_ && layout == algorithm::Layout::NCL && !on_opencl();
  }

  [[nodiscard]] Written written_y(const algorithm::Normalize& s, const Output& y) const;
  [[nodiscard]] Written written_dx(const Output& dx) const;
  /// Schedules the inputs of y or dx and the per-channel outputs, in a block of threads.
  static void finish(const algorithm::Normalize& s, const Written& y, const ThreadBlocks& blocks,
                     const PerChannel& statistics);
  static void finish(const algorithm::InputGradient& g, const Written& dx,
                     const ThreadBlocks& blocks, const PerChannel& gradients);

 private:
  /// `rows`: those of a thread, if they are not tuned.
  [[nodiscard]] Written written(const Output& f, int rows) const;

  Halide::Target target_;
  Tuning tuning_;
  std::vector<Halide::Expr> strides_;
  bool shuffles_;
};

}  // namespace halnorm::schedule
