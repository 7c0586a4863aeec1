#include "algorithm/running_stats.h"
#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = relu((x - running_mean) / sqrt(running_var + eps) * weight + bias + addend).
class BatchNormFusedInfer : public halnorm::Operation<BatchNormFusedInfer> {
 public:
  Input<Buffer<>> x{"x"};                        ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> addend{"addend"};              ///< like x; outer strides may be 0
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c), any stride
  Input<Buffer<>> running_var{"running_var"};    ///< (c), any stride
  Input<Buffer<>> weight{"weight"};              ///< (c), any stride
  Input<Buffer<>> bias{"bias"};                  ///< (c), any stride
  Input<double> eps{"eps"};                      ///< added to running_var
  Input<double> slope{"slope"};                  ///< of relu below 0

  Output<Buffer<>> y{"y"};  ///< like x; may be x or addend itself

  void configure() {
    is_data(x, addend);
    is_parameter(running_mean, running_var, weight, bias);
    is_data(y);
  }

  void generate() {
    const auto fixed = algorithm::fixed_statistics(running_mean, running_var, eps);
    normalize_ = algorithm::normalize_add_relu(values(x), values(addend), domain(x), fixed.mean,
                                               fixed.invstd, weight, bias, slope);
    y = laid_out(normalize_.y, domain(x));
  }

  void schedule() {
    from_zero(x);
    like(x, addend);
    written(x, y);
    per_channel_inputs(x, running_mean, running_var, weight, bias);
    architecture()->elementwise(normalize_, output);
  }

 private:
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedInfer, batch_norm_fused_infer)
