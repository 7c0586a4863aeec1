#include "fused_backward_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_fused_train: statistics depend on x.
class BatchNormFusedBackward : public halnorm::FusedBackwardOperation<BatchNormFusedBackward> {
 public:
  /// For few values: see schedule::make_small().
  GeneratorParam<bool> small{"small", false};

  Input<Buffer<>> dy{"dy"};                   ///< like x
  Input<Buffer<>> x{"x"};                     ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> y{"y"};                     ///< like x: the result of the forward
  Input<Buffer<>> weight{"weight"};           ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(var + eps)

  void configure() {
    is_data(dy);
    is_data(x);
    is_data(y);
    is_parameter(weight);
    add_old_gradients();
    add_outputs();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    rectified_ = algorithm::rectified(values(dy), values(y), d);
    sums_ = algorithm::gradient_sums(rectified_.dy, values(x), d, mean,
                                     block_sizes(small, true).reading(3));
    gradient_ = algorithm::input_gradient(rectified_.dy, values(x), d, mean, invstd, weight,
                                          sums_.sum_dy, sums_.sum_dy_xmu, d.count());
    give_outputs(gradient_, rectified_, sums_, invstd);
  }

  void schedule() {
    from_zero(x);
    like(dy, x);
    like(y, x);
    per_channel_input(weight, x);
    per_channel_input(mean, x);
    per_channel_input(invstd, x);
    architecture(small)->backward(sums_, gradient_, outputs_like(x));
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
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_backward_small, batch_norm_fused_backward,
                                {{"small", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_backward_add_small, batch_norm_fused_backward,
                                {{"adds", "true"}, {"small", "true"}})
