#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// dx of batch_norm_backward from given sums.
class BatchNormBackwardElemt : public halnorm::Operation<BatchNormBackwardElemt> {
 public:
  Input<Buffer<>> dy{"dy"};                           ///< like x
  Input<Buffer<>> x{"x"};                             ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> weight{"weight"};                   ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};              ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};          ///< (c): 1 / sqrt(var + eps)
  Input<Buffer<double, 1>> sum_dy{"sum_dy"};          ///< (c): over all ranks
  Input<Buffer<double, 1>> sum_dy_xmu{"sum_dy_xmu"};  ///< (c): over all ranks
  Input<double> count{"count"};                       ///< values per channel, over all ranks

  Output<Buffer<>> dx{"dx"};  ///< like x; may be dy itself

  void configure() {
    is_data(dy, x);
    is_parameter(weight);
    is_data(dx);
  }

  void generate() {
    gradient_ = algorithm::input_gradient(values(dy), values(x), domain(x), mean, invstd, weight,
                                          sum_dy, sum_dy_xmu, count);
    dx = laid_out(gradient_.dx, domain(x));
  }

  void schedule() {
    from_zero(x);
    like(x, dy);
    written(x, dx);
    per_channel_inputs(x, weight, mean, invstd, sum_dy, sum_dy_xmu);
    count.set_estimate(estimate_l * estimate_n);
    architecture()->backward_elementwise(gradient_, output);
    reads(halnorm::schedule::Reading::end_to_end);
  }

 private:
  algorithm::InputGradient gradient_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormBackwardElemt, batch_norm_backward_elemt)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_elemt_nontemporal, batch_norm_backward_elemt,
                                {{"nontemporal", "true"}})
