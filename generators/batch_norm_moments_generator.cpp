#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// Mean and sum of squared deviations of each channel.
class BatchNormMoments : public halnorm::Operation<BatchNormMoments> {
 public:
  Input<Buffer<>> x{"x"};  ///< data: (l, c, n) or (c, n)

  Output<Buffer<double, 1>> mean{"mean"};  ///< (c)
  Output<Buffer<double, 1>> m2{"m2"};      ///< (c): sum((x - mean)^2)

  void configure() { is_data(x); }

  void generate() {
    moments_ = algorithm::moments(values(x), summation(domain(x), 1));
    Var c("c");
    mean(c) = moments_.total(c)[0];
    m2(c) = moments_.total(c)[1];
  }

  void schedule() {
    from_zero(x);
    per_channel(x, mean, m2);
    architecture()->moments(moments_, {mean, m2});
    reads(halnorm::schedule::Reading::in_pieces);
  }

 private:
  algorithm::Reduction moments_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchNormMoments, batch_norm_moments)
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_moments_nontemporal, batch_norm_moments,
                                {{"nontemporal", "true"}})
HALIDE_REGISTER_GENERATOR_ALIAS(batch_norm_moments_exact, batch_norm_moments, {{"exact", "true"}})
