#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// The sums of batch_norm_backward, which a synchronized layer adds over its ranks.
class BatchNormBackwardReduce : public halnorm::Operation<BatchNormBackwardReduce> {
 public:
  Input<Buffer<>> dy{"dy"};               ///< like x
  Input<Buffer<>> x{"x"};                 ///< data: (l, c, n) or (c, n)
  Input<Buffer<double, 1>> mean{"mean"};  ///< (c)

  Output<Buffer<double, 1>> sum_dy{"sum_dy"};          ///< (c): sum(dy)
  Output<Buffer<double, 1>> sum_dy_xmu{"sum_dy_xmu"};  ///< (c): sum(dy * (x - mean))

  void configure() { is_data(dy, x); }

  void generate() {
    sums_ = algorithm::gradient_sums(values(dy), values(x), mean, summation(domain(x), 2));
    Var c("c");
    sum_dy(c) = sums_.sum_dy(c);
    sum_dy_xmu(c) = sums_.sum_dy_xmu(c);
  }

  void schedule() {
    from_zero(x);
    like(x, dy);
    per_channel_inputs(x, mean);
    per_channel(x, sum_dy, sum_dy_xmu);
    architecture()->backward_reduce(sums_, {sum_dy, sum_dy_xmu});
    reads(halnorm::schedule::Reading::in_pieces);
  }

 private:
  algorithm::GradientSums sums_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormBackwardReduce, batch_norm_backward_reduce)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_reduce_nontemporal, batch_norm_backward_reduce,
                                {{"nontemporal", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_backward_reduce_exact, batch_norm_backward_reduce,
                                {{"exact", "true"}})
