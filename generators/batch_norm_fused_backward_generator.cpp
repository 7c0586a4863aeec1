#include "backward_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_fused_train: statistics depend on x.
class BatchNormFusedBackward : public halnorm::BackwardOperation<BatchNormFusedBackward> {
 public:
  Input<Buffer<>> dy{"dy"};                   ///< like x
  Input<Buffer<>> x{"x"};                     ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> y{"y"};                     ///< like x: what the forward returned
  Input<Buffer<>> weight{"weight"};           ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(var + eps)

  Output<Buffer<>> dx{"dx"};            ///< like x
  Output<Buffer<>> daddend{"daddend"};  ///< like x: dy where y > 0
  Output<Buffer<>> dweight{"dweight"};  ///< (c): sum(dy * (x - mean)) * invstd
  Output<Buffer<>> dbias{"dbias"};      ///< (c): sum(dy)

  void configure() {
    is_data(dy);
    is_data(x);
    is_data(y);
    is_parameter(weight);
    is_data(dx);
    is_data(daddend);
    is_gradient(dweight);
    is_gradient(dbias);
    add_old_gradients();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    rectified_ = algorithm::rectified(values(dy), values(y), d);
    sums_ = algorithm::gradient_sums(rectified_.dy, values(x), d, mean, block_sizes().reading(3));
    gradient_ = algorithm::input_gradient(rectified_.dy, values(x), d, mean, invstd, weight,
                                          sums_.sum_dy, sums_.sum_dy_xmu, d.count());
    gradient_.daddend = stored(rectified_.daddend);
    gradient_.dx = stored(gradient_.dx);
    dx = gradient_.dx;
    daddend = gradient_.daddend;
    give_gradients(sums_, invstd, dweight, dbias);
  }

  void schedule() {
    from_zero(x);
    like(dy, x);
    like(y, x);
    like(dx, x);
    like(daddend, x);
    per_channel_input(weight, x);
    per_channel_input(mean, x);
    per_channel_input(invstd, x);
    architecture()->backward(sums_, gradient_, gradients(dweight, dbias, x));
  }

 private:
  algorithm::Rectified rectified_;
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedBackward, batch_norm_fused_backward)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_backward_add, batch_norm_fused_backward,
                                {{"adds", "true"}})
