#include "backward_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Gradients of batch_norm_train: statistics depend on x.
class BatchNormBackward : public halnorm::BackwardOperation<BatchNormBackward> {
 public:
  /// For few values: see schedule::make_single_pass().
  GeneratorParam<bool> single_pass{"single_pass", false};

  Input<Buffer<>> dy{"dy"};                   ///< like x
  Input<Buffer<>> x{"x"};                     ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> weight{"weight"};           ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(var + eps)

  Output<Buffer<>> dx{"dx"};            ///< like x; may be dy itself
  Output<Buffer<>> dweight{"dweight"};  ///< (c): sum(dy * (x - mean)) * invstd
  Output<Buffer<>> dbias{"dbias"};      ///< (c): sum(dy)

  void configure() {
    is_data(dy, x);
    is_parameter(weight);
    is_data(dx);
    is_gradient(dweight, dbias);
    add_old_gradients();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    sums_ = algorithm::gradient_sums(values(dy), values(x), mean, summation(d, 2, single_pass));
    gradient_ = algorithm::input_gradient(values(dy), values(x), d, mean, invstd, weight,
                                          sums_.sum_dy, sums_.sum_dy_xmu, d.count());
    dx = laid_out(gradient_.dx, d);
    give_gradients(sums_, invstd, dweight, dbias);
  }

  void schedule() {
    from_zero(x);
    like(x, dy);
    written(x, dx);
    per_channel_inputs(x, weight, mean, invstd);
    architecture(single_pass)->backward(sums_, gradient_, output, gradients(dweight, dbias, x));
    reads(halnorm::schedule::Reading::in_pieces);
  }

 private:
  algorithm::GradientSums sums_;
  algorithm::InputGradient gradient_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormBackward, batch_norm_backward)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_single_pass, batch_norm_backward,
                                {{"single_pass", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_accumulate, batch_norm_backward,
                                {{"accumulate", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_accumulate_single_pass, batch_norm_backward,
                                {{"accumulate", "true"}, {"single_pass", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_nontemporal, batch_norm_backward,
                                {{"nontemporal", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_exact, batch_norm_backward, {{"exact", "true"}})
