#include "train_operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// y = (x - mean) * invstd * weight + bias with the batch statistics.
class BatchNormTrain : public halnorm::TrainOperation<BatchNormTrain> {
 public:
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
    is_parameter(weight, bias);
    is_data(y);
    add_running_stats();
  }

  void generate() {
    const algorithm::Domain d = domain(x);
    moments_ = algorithm::moments(values(x), summation(d, 1, single_pass));
    make_statistics(moments_, d.count(), eps);
    normalize_ = algorithm::normalize(values(x), d, batch_mean, batch_invstd, weight, bias);
    y = laid_out(normalize_.y, d);
    give_statistics(moments_, normalize_, d.count(), mean, invstd, m2);
  }

  void schedule() {
    from_zero(x);
    written(x, y);
    per_channel_inputs(x, weight, bias);
    eps.set_estimate(1e-5);
    architecture(single_pass)->train(moments_, normalize_, output, statistics(mean, invstd, m2, x));
    reads(halnorm::schedule::Reading::in_pieces);
  }

 private:
  algorithm::Reduction moments_;
  algorithm::Normalize normalize_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormTrain, batch_norm_train)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_single_pass, batch_norm_train,
                                {{"single_pass", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_with_running_stats, batch_norm_train,
                                {{"with_running_stats", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_with_running_stats_single_pass, batch_norm_train,
                                {{"with_running_stats", "true"}, {"single_pass", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_nontemporal, batch_norm_train,
                                {{"nontemporal", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_train_exact, batch_norm_train, {{"exact", "true"}})
