#include "algorithm/running_stats.h"
#include "backward_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_infer: the statistics are constants.
class BatchNormBackwardInfer : public halnorm::BackwardOperation<BatchNormBackwardInfer> {
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
    is_data(dy, x);
    is_parameter(weight, running_mean, running_var);
    is_data(dx);
    is_gradient(dweight, dbias);
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    const auto fixed = algorithm::fixed_statistics(running_mean, running_var, eps);
    sums_ =
        algorithm::gradient_sums(values(dy), values(x), fixed.mean, summation(d, 2, false, true));
    gradient_ = algorithm::input_gradient_of_fixed_statistics(values(dy), d, fixed.invstd, weight);
    dx = laid_out(gradient_.dx, d);
    give_gradients(sums_, fixed.invstd, dweight, dbias);
  }

  void schedule() {
    from_zero(x);
    like(x, dy);
    written(x, dx);
    per_channel_inputs(x, weight, running_mean, running_var);
    eps.set_estimate(1e-5);
    architecture()->backward(sums_, gradient_, output, gradients(dweight, dbias, x));
  }

 private:
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormBackwardInfer, batch_norm_backward_infer)
