#include <cmath>
#include <optional>

#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/throws.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::ValueError;

namespace {

constexpr double eps = 1e-5;

/// The error of each term is relative to the term: those of the variance are positive, those of the
/// mean may cancel.
void expect_running(const Tensor& mean, const Tensor& variance, const oracle::Running& want,
                    const oracle::Running& before, const oracle::Statistics& batch, DType dtype) {
  const std::vector<double> got_mean = inputs::doubles(mean);
  const std::vector<double> got_variance = inputs::doubles(variance);
  ASSERT_EQ(got_mean.size(), want.mean.size());
  const double relative = tolerance::relative(dtype);
  for (std::size_t c = 0; c < got_mean.size(); ++c) {
    const auto spread =
        static_cast<double>(oracle::root_of(batch.m2[c] / static_cast<oracle::Real>(batch.count)));
    const auto size = static_cast<double>(oracle::magnitude_of(before.mean[c]) +
                                          oracle::magnitude_of(batch.mean[c]));
    EXPECT_NEAR(got_mean[c], static_cast<double>(want.mean[c]),
                relative * spread + 2 * element::roundoff(element::of_parameters(dtype)) * size);
    const auto wanted = static_cast<double>(want.variance[c]);
    EXPECT_NEAR(got_variance[c], wanted, relative * wanted);
  }
}

class RunningStats : public KernelTest {
 protected:
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }
  [[nodiscard]] DType parameter_dtype() const { return element::of_parameters(dtype()); }
};

}  // namespace

TEST_P(RunningStats, AreUpdatedByTheTrainingPass) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double factor : each_of<double>({0.1, 1.0}, extents)) {
      SCOPED_TRACE(describe(extents) + ", factor " + std::to_string(factor));
      Problem p = problem(extents, 1e2);
      const auto result = F::batch_norm_train_update(p.x.tensor(), p.running_mean, p.running_var,
                                                     p.weight, p.bias, factor, eps, p.out.tensor());
      const oracle::Statistics batch = oracle::statistics(p.x_values);
      expect_running(p.running_mean, p.running_var, oracle::updated(p.running(), batch, factor),
                     p.running(), batch, dtype());
      const auto alone = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps);
      EXPECT_TRUE(same_bits(inputs::doubles(result.y), inputs::doubles(alone.y)));
      EXPECT_TRUE(same_bits(inputs::doubles(result.mean), inputs::doubles(alone.mean)));
      EXPECT_TRUE(same_bits(inputs::doubles(result.invstd), inputs::doubles(alone.invstd)));
    }
  }
}

TEST_P(RunningStats, AreUpdatedFromMoments) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e2);
    F::update_running_stats(p.running_mean, p.running_var, F::batch_norm_moments(p.x.tensor()),
                            0.25);
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    expect_running(p.running_mean, p.running_var, oracle::updated(p.running(), batch, 0.25),
                   p.running(), batch, dtype());
  }
}

TEST_P(RunningStats, MayBeStrided) {
  const shapes::Extents extents{3, 17, 33, "odd in every direction"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 1e2);
  const Tensor both = Tensor::zeros({extents.c, 2}, parameter_dtype());
  Tensor mean = both.narrow(1, 0, 1).reshape({extents.c});
  Tensor variance = both.narrow(1, 1, 1).reshape({extents.c});
  ASSERT_FALSE(mean.is_contiguous());
  mean.copy_(p.running_mean);
  variance.copy_(p.running_var);
  F::batch_norm_train_update(p.x.tensor(), mean, variance, p.weight, p.bias, 0.1, eps);
  const oracle::Statistics batch = oracle::statistics(p.x_values);
  expect_running(mean, variance, oracle::updated(p.running(), batch, 0.1), p.running(), batch,
                 dtype());
}

TEST_P(RunningStats, BatchNormChoosesItsStatistics) {
  const shapes::Extents extents{3, 17, 33, "odd in every direction"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 1e2);
  const Tensor x = p.x.tensor();
  const auto call = [&](bool running, bool training, std::optional<double> momentum) {
    return inputs::doubles(F::batch_norm(x, running ? p.running_mean : Tensor(),
                                         running ? p.running_var : Tensor(), p.weight, p.bias,
                                         training, momentum, eps));
  };
  const std::vector<double> by_batch =
      inputs::doubles(F::batch_norm_train(x, p.weight, p.bias, eps).y);
  const std::vector<double> by_running =
      inputs::doubles(F::batch_norm_infer(x, p.running_mean, p.running_var, p.weight, p.bias, eps));
  EXPECT_FALSE(same_bits(by_batch, by_running));
  EXPECT_TRUE(same_bits(call(true, false, 0.1), by_running));
  EXPECT_TRUE(same_bits(call(false, false, 0.1), by_batch));
  EXPECT_TRUE(same_bits(call(false, true, 0.1), by_batch));
  EXPECT_TRUE(same_bits(call(true, true, std::nullopt), by_batch));
  EXPECT_TRUE(same_bits(inputs::doubles(p.running_mean), p.layer.running_mean));
  EXPECT_TRUE(same_bits(inputs::doubles(p.running_var), p.layer.running_var));
  EXPECT_TRUE(same_bits(call(true, true, 0.1), by_batch));
  const oracle::Statistics batch = oracle::statistics(p.x_values);
  expect_running(p.running_mean, p.running_var, oracle::updated(p.running(), batch, 0.1),
                 p.running(), batch, dtype());
}

TEST_P(RunningStats, AnEmptyBatchChangesNothing) {
  for (const shapes::Extents& extents : shapes::without_values()) {
    SCOPED_TRACE(describe(extents));
    placement::Placed x(layout(), extents, dtype());
    const Tensor mean = Tensor::full({5}, 0.25, parameter_dtype());
    const Tensor variance = Tensor::full({5}, 2.0, parameter_dtype());
    const Tensor y = F::batch_norm(x.tensor(), mean, variance, Tensor(), Tensor(), true, 0.1, eps);
    EXPECT_EQ(y.shape(), x.tensor().shape());
    const auto forward = F::batch_norm_train(x.tensor(), Tensor(), Tensor(), eps);
    const auto gradients = F::batch_norm_backward(
        x.tensor(), x.tensor(), Tensor::ones({5}, parameter_dtype()), forward.mean, forward.invstd);
    EXPECT_EQ(inputs::doubles(gradients.dweight), std::vector<double>(5, 0.0));
    EXPECT_EQ(inputs::doubles(gradients.dbias), std::vector<double>(5, 0.0));
    F::update_running_stats(mean, variance, F::batch_norm_moments(x.tensor()), 0.1);
    EXPECT_EQ(inputs::doubles(mean), std::vector<double>(5, 0.25));
    EXPECT_EQ(inputs::doubles(variance), std::vector<double>(5, 2.0));
  }
}

TEST_P(RunningStats, OneValueHasNoVarianceToGive) {
  const Tensor mean = Tensor::zeros({3}, parameter_dtype());
  const Tensor variance = Tensor::ones({3}, parameter_dtype());
  const F::Moments one = F::batch_norm_moments(Tensor::ones({1, 3}, dtype()));
  expect_throws<ValueError>([&] { F::update_running_stats(mean, variance, one, 0.1); },
                            {"update_running_stats", "1"});
  EXPECT_EQ(inputs::doubles(mean), std::vector<double>(3, 0.0));
  EXPECT_EQ(inputs::doubles(variance), std::vector<double>(3, 1.0));
}

INSTANTIATE_TEST_SUITE_P(Kernels, RunningStats, ::testing::ValuesIn(dense_cases()), name_of_param);
