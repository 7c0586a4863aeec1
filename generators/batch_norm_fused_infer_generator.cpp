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
    is_data(x);
    is_data(addend);
    is_parameter(running_mean);
    is_parameter(running_var);
    is_parameter(weight);
    is_parameter(bias);
    is_data(y);
  }

  void generate() {
    Var c("c");
    mean_(c) = cast<double>(running_mean(c));
    invstd_(c) = 1 / sqrt(cast<double>(running_var(c)) + eps);
    normalize_ = algorithm::normalize_add_relu(values(x), values(addend), domain(x), mean_, invstd_,
                                               weight, bias, slope);
    normalize_.y = stored(normalize_.y);
    y = normalize_.y;
  }

  void schedule() {
    from_zero(x);
    like(addend, x);
    like(y, x);
    per_channel_input(running_mean, x);
    per_channel_input(running_var, x);
    per_channel_input(weight, x);
    per_channel_input(bias, x);
    architecture()->elementwise(normalize_, domain(x));
  }

 private:
  algorithm::Normalize normalize_;
  Func mean_{"mean"}, invstd_{"invstd"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedInfer, batch_norm_fused_infer)
