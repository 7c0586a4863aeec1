#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// The gradient through the relu of the fused operations.
class ReluBackward : public halnorm::Operation<ReluBackward> {
 public:
  Input<Buffer<>> dy{"dy"};      ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> y{"y"};        ///< like dy: the result of the forward
  Input<double> slope{"slope"};  ///< of relu below 0

  Output<Buffer<>> dx{"dx"};  ///< like dy; may be dy itself

  void configure() { is_data(dy, y, dx); }

  void generate() {
    dx = laid_out(algorithm::rectified(values(dy), values(y), domain(dy), slope), domain(dy));
  }

  void schedule() {
    from_zero(dy);
    like(dy, y);
    written(dy, dx);
    architecture()->rectified(output);
    reads(halnorm::schedule::Reading::end_to_end);
  }
};

}  // namespace

HALIDE_REGISTER_GENERATOR(ReluBackward, relu_backward)
HALIDE_REGISTER_GENERATOR_ALIAS(relu_backward_nontemporal, relu_backward, {{"nontemporal", "true"}})
