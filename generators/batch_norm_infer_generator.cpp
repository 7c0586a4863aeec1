#include "algorithm/running_stats.h"
#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = (x - running_mean) / sqrt(running_var + eps) * weight + bias.
class BatchNormInfer : public halnorm::Operation<BatchNormInfer> {
 public:
  Input<Buffer<>> x{"x"};                        ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c), any stride
  Input<Buffer<>> running_var{"running_var"};    ///< (c), any stride
  Input<Buffer<>> weight{"weight"};              ///< (c), any stride
  Input<Buffer<>> bias{"bias"};                  ///< (c), any stride
  Input<double> eps{"eps"};                      ///< added to running_var

  Output<Buffer<>> y{"y"};  ///< like x; may be x itself

  void configure() {
    is_data(x);
    is_parameter(running_mean, running_var, weight, bias);
    is_data(y);
  }

  void generate() {
    const auto fixed = algorithm::fixed_statistics(running_mean, running_var, eps);
    normalize_ = algorithm::normalize(values(x), domain(x), fixed.mean, fixed.invstd, weight, bias);
    y = laid_out(normalize_.y, domain(x));
  }

  void schedule() {
    from_zero(x);
    written(x, y);
    per_channel_inputs(x, running_mean, running_var, weight, bias);
    eps.set_estimate(1e-5);
    architecture()->elementwise(normalize_, output);
  }

 private:
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormInfer, batch_norm_infer)
