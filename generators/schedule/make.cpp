#include "cpu/arm.h"
#include "cpu/single_pass.h"
#include "cpu/x86.h"
#include "gpu/gpu.h"
#include "gpu/single_pass.h"

namespace halnorm::schedule {

namespace {

/// Empty on purpose: an autoscheduler schedules these stages.
class LeftToHalide final : public Schedule {
 public:
  explicit LeftToHalide(const Halide::Target& target) : architecture_(make(target, {}, {})) {}

  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const override {
    return architecture_->summation(domain, options);
  }
  void train(algorithm::Reduction&, algorithm::Normalize&, const Output&,
             const PerChannel&) const override {}
  void elementwise(algorithm::Normalize&, const Output&) const override {}
  void moments(algorithm::Reduction&, const PerChannel&) const override {}
  void backward(algorithm::GradientSums&, algorithm::InputGradient&, const Output&,
                const PerChannel&) const override {}
  void backward_reduce(algorithm::GradientSums&, const PerChannel&) const override {}
  void backward_elementwise(algorithm::InputGradient&, const Output&) const override {}
  void rectified(const Output&) const override {}
  void per_channel(const PerChannel&) const override {}

 private:
  std::unique_ptr<Schedule> architecture_;
};

}  // namespace

std::unique_ptr<Schedule> make(const Halide::Target& target, const Tuning& tuning,
                               const Strides& strides, bool warp_shuffle) {
  if (target.has_gpu_feature()) {
    return std::make_unique<Gpu>(target, tuning, strides.rows, warp_shuffle);
  }
  switch (target.arch) {
    case Halide::Target::X86:
      return std::make_unique<X86>(target, tuning, strides);
    case Halide::Target::ARM:
      return std::make_unique<Arm>(target, tuning, strides);
    default:
      throw Halide::CompileError("no schedule for the target " + target.to_string());
  }
}

std::unique_ptr<ReducingSchedule> make_single_pass(const Halide::Target& target,
                                                   const Tuning& tuning, const Strides& strides,
                                                   bool warp_shuffle) {
  if (target.has_gpu_feature()) {
    return std::make_unique<GpuSinglePass>(target, tuning, strides.rows, warp_shuffle);
  }
  return std::make_unique<CpuSinglePass>(make(target, tuning, strides), strides);
}

std::unique_ptr<Schedule> left_to_halide(const Halide::Target& target) {
  return std::make_unique<LeftToHalide>(target);
}

}  // namespace halnorm::schedule
