#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = relu((x - mean) * invstd * weight + bias + addend) with given statistics.
class BatchNormFusedElemt : public halnorm::Operation<BatchNormFusedElemt> {
 public:
  Input<Buffer<>> x{"x"};                     ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> addend{"addend"};           ///< like x; outer strides may be 0
  Input<Buffer<>> weight{"weight"};           ///< (c), any stride
  Input<Buffer<>> bias{"bias"};               ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(var + eps)
  Input<double> slope{"slope"};               ///< of relu below 0

  Output<Buffer<>> y{"y"};  ///< like x; may be x or addend itself

  void configure() {
    is_data(x, addend);
    is_parameter(weight, bias);
    is_data(y);
  }

  void generate() {
    normalize_ = algorithm::normalize_add_relu(values(x), values(addend), domain(x), mean, invstd,
                                               weight, bias, slope);
    y = laid_out(normalize_.y, domain(x));
  }

  void schedule() {
    from_zero(x);
    like(x, addend);
    written(x, y);
    per_channel_inputs(x, weight, bias, mean, invstd);
    architecture()->elementwise(normalize_, output);
    reads(halnorm::schedule::Reading::end_to_end);
  }

 private:
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedElemt, batch_norm_fused_elemt)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_elemt_nontemporal, batch_norm_fused_elemt,
                                {{"nontemporal", "true"}})
