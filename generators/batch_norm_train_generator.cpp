#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = (x - mean) * invstd * weight + bias with the batch's own statistics.
class BatchNormTrain : public halnorm::Operation<BatchNormTrain> {
 public:
  /// For few values: see schedule::make_small().
  GeneratorParam<bool> small{"small", false};

  Input<Buffer<>> x{"x"};            ///< data: (l, c, n) or (c, n)
  Input<Buffer<>> weight{"weight"};  ///< (c), any stride
  Input<Buffer<>> bias{"bias"};      ///< (c), any stride
  Input<double> eps{"eps"};          ///< added to the biased variance

  Output<Buffer<>> y{"y"};                     ///< like x; may be x itself
  Output<Buffer<double, 1>> mean{"mean"};      ///< (c)
  Output<Buffer<double, 1>> invstd{"invstd"};  ///< (c): 1 / sqrt(m2 / count + eps)
  Output<Buffer<double, 1>> m2{"m2"};          ///< (c): sum of squared deviations

  void configure() {
    is_data(x);
    is_parameter(weight);
    is_parameter(bias);
    is_data(y);
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    moments_ = algorithm::moments(values(x), d, block_sizes(small));
    Var c("c");
    mean_(c) = moments_.total(c)[0];
    invstd_(c) = 1 / sqrt(moments_.total(c)[1] * (1 / d.count()) + eps);
    normalize_ = algorithm::normalize(values(x), d, mean_, invstd_, weight, bias);
    normalize_.y = laid_out(normalize_.y, normalize_.lines, d);
    y = normalize_.y;
    mean(c) = mean_(c);
    invstd(c) = normalize_.invstd(c);
    m2(c) = moments_.total(c)[1];
  }

  void schedule() {
    from_zero(x);
    written(y, x);
    per_channel_input(weight, x);
    per_channel_input(bias, x);
    per_channel(mean, x);
    per_channel(invstd, x);
    per_channel(m2, x);
    eps.set_estimate(1e-5);
    architecture(small)->train(moments_, normalize_, {mean, invstd, m2});
    reads(halnorm::schedule::Reading::in_pieces);
  }

 private:
  algorithm::Reduction moments_;
  algorithm::Normalize normalize_;
  Func mean_{"batch_mean"}, invstd_{"batch_invstd"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormTrain, batch_norm_train)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_small, batch_norm_train, {{"small", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_stream, batch_norm_train, {{"streams", "true"}})
