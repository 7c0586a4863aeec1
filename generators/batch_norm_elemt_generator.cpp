#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = (x - mean) * invstd * weight + bias with given statistics.
class BatchNormElemt : public halnorm::Operation<BatchNormElemt> {
 public:
  Input<Buffer<>> x{"x"};                     ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> weight{"weight"};           ///< (c), any stride
  Input<Buffer<>> bias{"bias"};               ///< (c), any stride
  Input<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Input<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(var + eps)

  Output<Buffer<>> y{"y"};  ///< like x; may be x itself

  void configure() {
    is_data(x);
    is_parameter(weight, bias);
    is_data(y);
  }

  void generate() {
    normalize_ = algorithm::normalize(values(x), domain(x), mean, invstd, weight, bias);
    y = laid_out(normalize_.y, domain(x));
  }

  void schedule() {
    from_zero(x);
    written(x, y);
    per_channel_inputs(x, weight, bias, mean, invstd);
    architecture()->elementwise(normalize_, output);
    reads(halnorm::schedule::Reading::end_to_end);
  }

 private:
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormElemt, batch_norm_elemt)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_elemt_nontemporal, batch_norm_elemt,
                                {{"nontemporal", "true"}})
