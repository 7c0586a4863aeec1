#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_fused_infer: the statistics are constants.
class BatchNormFusedBackwardInfer : public halnorm::Operation<BatchNormFusedBackwardInfer> {
 public:
  Input<Buffer<>> dy{"dy"};                      ///< like x
  Input<Buffer<>> x{"x"};                        ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> y{"y"};                        ///< like x: what the forward returned
  Input<Buffer<>> weight{"weight"};              ///< (c), any stride
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c), any stride
  Input<Buffer<>> running_var{"running_var"};    ///< (c), any stride
  Input<double> eps{"eps"};                      ///< added to running_var

  Output<Buffer<>> dx{"dx"};            ///< like x
  Output<Buffer<>> daddend{"daddend"};  ///< like x: dy where y > 0
  Output<Buffer<>> dweight{"dweight"};  ///< (c): sum(dy * (x - mean)) * invstd
  Output<Buffer<>> dbias{"dbias"};      ///< (c): sum(dy)

  void configure() {
    is_data(dy);
    is_data(x);
    is_data(y);
    is_parameter(weight);
    is_parameter(running_mean);
    is_parameter(running_var);
    is_data(dx);
    is_data(daddend);
    is_gradient(dweight);
    is_gradient(dbias);
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    Var c("c");
    mean_(c) = cast<double>(running_mean(c));
    invstd_(c) = 1 / sqrt(cast<double>(running_var(c)) + eps);
    rectified_ = algorithm::rectified(values(dy), values(y), d);
    sums_ = algorithm::gradient_sums(rectified_.dy, values(x), d, mean_, block_sizes().reading(3));
    gradient_ = algorithm::input_gradient_of_fixed_statistics(rectified_.dy, d, invstd_, weight);
    gradient_.daddend = stored(rectified_.daddend);
    gradient_.dx = stored(gradient_.dx);
    dx = gradient_.dx;
    daddend = gradient_.daddend;
    dweight(c) = cast(gradient_type(), sums_.sum_dy_xmu(c) * invstd_(c));
    dbias(c) = cast(gradient_type(), sums_.sum_dy(c));
  }

  void schedule() {
    from_zero(x);
    like(dy, x);
    like(y, x);
    like(dx, x);
    like(daddend, x);
    per_channel_input(weight, x);
    per_channel_input(running_mean, x);
    per_channel_input(running_var, x);
    per_channel(dweight, x);
    per_channel(dbias, x);
    architecture()->backward(sums_, gradient_, {dweight, dbias});
  }

 private:
  algorithm::Rectified rectified_;
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
  Func mean_{"mean"}, invstd_{"invstd"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedBackwardInfer, batch_norm_fused_backward_infer)
