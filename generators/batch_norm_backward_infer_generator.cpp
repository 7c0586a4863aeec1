#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_infer: the statistics are constants.
class BatchNormBackwardInfer : public halnorm::Operation<BatchNormBackwardInfer> {
 public:
  Input<Buffer<>> dy{"dy"};                      ///< like x
  Input<Buffer<>> x{"x"};                        ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> weight{"weight"};              ///< (c), any stride
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c), any stride
  Input<Buffer<>> running_var{"running_var"};    ///< (c), any stride
  Input<double> eps{"eps"};                      ///< added to running_var

  Output<Buffer<>> dx{"dx"};            ///< like x; may be dy itself
  Output<Buffer<>> dweight{"dweight"};  ///< (c): sum(dy * (x - mean)) * invstd
  Output<Buffer<>> dbias{"dbias"};      ///< (c): sum(dy)

  void configure() {
    is_data(dy);
    is_data(x);
    is_parameter(weight);
    is_parameter(running_mean);
    is_parameter(running_var);
    is_data(dx);
    is_gradient(dweight);
    is_gradient(dbias);
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    Var c("c");
    mean_(c) = cast<double>(running_mean(c));
    invstd_(c) = 1 / sqrt(cast<double>(running_var(c)) + eps);
    sums_ = algorithm::gradient_sums(values(dy), values(x), d, mean_,
                                     block_sizes(false, true).reading(2));
    gradient_ = algorithm::input_gradient_of_fixed_statistics(values(dy), d, invstd_, weight);
    gradient_.dx = stored(gradient_.dx);
    dx = gradient_.dx;
    dweight(c) = cast(gradient_type(), sums_.sum_dy_xmu(c) * invstd_(c));
    dbias(c) = cast(gradient_type(), sums_.sum_dy(c));
  }

  void schedule() {
    from_zero(x);
    like(dy, x);
    like(dx, x);
    per_channel_input(weight, x);
    per_channel_input(running_mean, x);
    per_channel_input(running_var, x);
    per_channel(dweight, x);
    per_channel(dbias, x);
    eps.set_estimate(1e-5);
    architecture()->backward(sums_, gradient_, {dweight, dbias});
  }

 private:
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
  Func mean_{"mean"}, invstd_{"invstd"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormBackwardInfer, batch_norm_backward_infer)
