#pragma once

#include "algorithm/gradients.h"
#include "operation.h"

namespace halnorm {

/// The base of the backward passes: the gradients of weight and bias. With `accumulate` they are
/// added to existing gradients, which are two more inputs.
template <class Derived>
class BackwardOperation : public Operation<Derived> {
 public:
  /// For devices, on which a launch takes longer than the addition.
  Halide::GeneratorParam<bool> accumulate{"accumulate", false};

 protected:
  /// The last inputs: the existing gradients, which may be the outputs themselves.
  void add_old_gradients() {
    if (accumulate) {
      const Halide::Type type = this->types().gradients();
      old_dweight_ = this->template add_input<Halide::Buffer<>>("old_dweight", type, 1);
      old_dbias_ = this->template add_input<Halide::Buffer<>>("old_dbias", type, 1);
    }
  }

  /// Defines dweight and dbias.
  template <class Output>
  void give_gradients(const algorithm::GradientSums& sums, const Halide::Func& invstd,
                      Output& dweight, Output& dbias) {
    const Halide::Var c("c");
    dweight(c) = rounded(sums.sum_dy_xmu(c) * invstd(c), old_dweight_, c);
    dbias(c) = rounded(sums.sum_dy(c), old_dbias_, c);
  }

  /// These outputs, for the schedule.
  template <class Output, class X>
  [[nodiscard]] schedule::PerChannel gradients(Output& dweight, Output& dbias, const X& x) {
    this->per_channel(x, dweight, dbias);
    if (old_dweight_ != nullptr) {
      this->per_channel(x, *old_dweight_, *old_dbias_);
    }
    return {dweight, dbias};
  }

 private:
  using OldGradient = Halide::GeneratorInput<Halide::Buffer<>>;

  [[nodiscard]] Halide::Expr rounded(const Halide::Expr& gradient, OldGradient* old,
                                     const Halide::Var& c) const {
    return Halide::cast(this->types().gradients(),
                        old != nullptr ? Halide::cast<double>((*old)(c)) + gradient : gradient);
  }

  OldGradient* old_dweight_ = nullptr;
  OldGradient* old_dbias_ = nullptr;
};

}  // namespace halnorm
