#include "fused_backward_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_fused_infer: the statistics are constants.
class BatchNormFusedBackwardInfer
    : public halnorm::FusedBackwardOperation<BatchNormFusedBackwardInfer> {
 public:
  Input<Buffer<>> dy{"dy"};                      ///< like x
  Input<Buffer<>> x{"x"};                        ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> y{"y"};                        ///< like x: the result of the forward
  Input<Buffer<>> weight{"weight"};              ///< (c), any stride
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c), any stride
  Input<Buffer<>> running_var{"running_var"};    ///< (c), any stride
  Input<double> eps{"eps"};                      ///< added to running_var

  void configure() {
    is_data(dy);
    is_data(x);
    is_data(y);
    is_parameter(weight);
    is_parameter(running_mean);
    is_parameter(running_var);
    add_old_gradients();
    add_outputs();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    Var c("c");
    mean_(c) = cast<double>(running_mean(c));
    invstd_(c) = 1 / sqrt(cast<double>(running_var(c)) + eps);
    rectified_ = algorithm::rectified(values(dy), values(y), d);
    sums_ = algorithm::gradient_sums(rectified_.dy, values(x), d, mean_,
                                     block_sizes(false, true).reading(3));
    gradient_ = algorithm::input_gradient_of_fixed_statistics(rectified_.dy, d, invstd_, weight);
    give_outputs(gradient_, rectified_, sums_, invstd_);
  }

  void schedule() {
    from_zero(x);
    like(dy, x);
    like(y, x);
    per_channel_input(weight, x);
    per_channel_input(running_mean, x);
    per_channel_input(running_var, x);
    architecture()->backward(sums_, gradient_, outputs_like(x));
  }

 private:
  algorithm::Rectified rectified_;
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
  Func mean_{"mean"}, invstd_{"invstd"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedBackwardInfer, batch_norm_fused_backward_infer)
