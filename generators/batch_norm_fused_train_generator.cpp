#include "train_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = relu((x - mean) * invstd * weight + bias + addend) with the batch statistics.
class BatchNormFusedTrain : public halnorm::TrainOperation<BatchNormFusedTrain> {
 public:
  Input<Buffer<>> x{"x"};            ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> addend{"addend"};  ///< like x; outer strides may be 0
  Input<Buffer<>> weight{"weight"};  ///< (c), any stride
  Input<Buffer<>> bias{"bias"};      ///< (c), any stride
  Input<double> eps{"eps"};          ///< added to the biased variance
  Input<double> slope{"slope"};      ///< of relu below 0

  Output<Buffer<>> y{"y"};                     ///< like x; may be x or addend itself
  Output<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Output<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(m2 / count + eps)
  Output<Buffer<double, 1>> m2{"m2"};          ///< (c): sum of squared deviations

  void configure() {
    is_data(x, addend);
    is_parameter(weight, bias);
    is_data(y);
    add_running_stats();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    moments_ = algorithm::moments(values(x), summation(d, 1, single_pass, true));
    make_statistics(moments_, d.count(), eps);
    normalize_ = algorithm::normalize_add_relu(values(x), values(addend), d, batch_mean,
                                               batch_invstd, weight, bias, slope);
    y = laid_out(normalize_.y, d);
    give_statistics(moments_, normalize_, d.count(), mean, invstd, m2);
  }

  void schedule() {
    from_zero(x);
    like(x, addend);
    written(x, y);
    per_channel_inputs(x, weight, bias);
    architecture(single_pass)->train(moments_, normalize_, output, statistics(mean, invstd, m2, x));
  }

 private:
  algorithm::Reduction moments_;
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormFusedTrain, batch_norm_fused_train)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_train_with_running_stats, batch_norm_fused_train,
                                {{"with_running_stats", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_train_single_pass, batch_norm_fused_train,
                                {{"single_pass", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_fused_train_with_running_stats_single_pass,
                                batch_norm_fused_train,
                                {{"with_running_stats", "true"}, {"single_pass", "true"}})
