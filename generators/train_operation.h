#pragma once

#include "algorithm/normalize.h"
#include "algorithm/running_stats.h"
#include "operation.h"

namespace halnorm {

/// The base of training forwards: the batch statistics. With `with_running_stats` the kernel also
/// updates running statistics, with two more inputs, a scalar and two more outputs.
template <class Derived>
class TrainOperation : public Operation<Derived> {
 public:
  /// For few values: see schedule::make_single_pass().
  Halide::GeneratorParam<bool> single_pass{"single_pass", false};
  /// For devices, on which a launch takes longer than the update.
  Halide::GeneratorParam<bool> with_running_stats{"with_running_stats", false};

 protected:
  /// The last arguments: running_mean, running_var, factor; new_running_mean, new_running_var,
  /// which may be the old statistics themselves.
  void add_running_stats() {
    if (!with_running_stats) {
      return;
    }
    const Halide::Type type = this->types().parameters();
    running_mean_ = this->template add_input<Halide::Buffer<>>("running_mean", type, 1);
    running_var_ = this->template add_input<Halide::Buffer<>>("running_var", type, 1);
    factor_ = this->template add_input<double>("factor");
    new_running_mean_ = this->template add_output<Halide::Buffer<>>("new_running_mean", type, 1);
    new_running_var_ = this->template add_output<Halide::Buffer<>>("new_running_var", type, 1);
  }

  /// Defines batch_mean and batch_invstd.
  void make_statistics(const algorithm::Reduction& moments, const Halide::Expr& count,
                       const Halide::Expr& eps) {
    const Halide::Var c("c");
    batch_mean(c) = moments.total(c)[0];
    batch_invstd(c) = 1 / sqrt(moments.total(c)[1] * (1 / count) + eps);
  }

  /// Defines the outputs with one value per channel.
  template <class Output>
  void give_statistics(const algorithm::Reduction& moments, const algorithm::Normalize& normalize,
                       const Halide::Expr& count, Output& mean, Output& invstd, Output& m2) {
    const Halide::Var c("c");
    mean(c) = batch_mean(c);
    invstd(c) = normalize.invstd(c);
    m2(c) = moments.total(c)[1];
    if (with_running_stats) {
      Halide::Func squares("squares");
      squares(c) = moments.total(c)[1];
      const algorithm::RunningStats r = algorithm::running_stats(
          *running_mean_, *running_var_, batch_mean, squares, count, *factor_);
      *new_running_mean_ = r.mean;
      *new_running_var_ = r.var;
    }
  }

  /// These outputs, for the schedule.
  template <class Output, class X>
  [[nodiscard]] schedule::PerChannel statistics(Output& mean, Output& invstd, Output& m2,
                                                const X& x) {
    this->per_channel(x, mean, invstd, m2);
    schedule::PerChannel all{mean, invstd, m2};
    if (with_running_stats) {
      this->per_channel(x, *running_mean_, *running_var_, *new_running_mean_, *new_running_var_);
      all.push_back(*new_running_mean_);
      all.push_back(*new_running_var_);
    }
    return all;
  }

  Halide::Func batch_mean{"batch_mean"}, batch_invstd{"batch_invstd"};

 private:
  Halide::GeneratorInput<Halide::Buffer<>>*running_mean_ = nullptr, *running_var_ = nullptr;
  Halide::GeneratorInput<double>* factor_ = nullptr;
  Halide::GeneratorOutput<Halide::Buffer<>>*new_running_mean_ = nullptr,
  *new_running_var_ = nullptr;
};

}  // namespace halnorm
