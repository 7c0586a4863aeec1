#include <array>
#include <cmath>
#include <span>

#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

constexpr double eps = 1e-5;

/// The split forms, which a layer that synchronizes its statistics calls.
class Moments : public KernelTest {
 protected:
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  void expect_moments(const F::Moments& got, const oracle::Statistics& want) const {
    EXPECT_EQ(got.count.item<double>(), static_cast<double>(want.count));
    EXPECT_EQ(got.count.dim(), 0);
    const std::vector<double> mean = inputs::doubles(got.mean);
    const std::vector<double> m2 = inputs::doubles(got.m2);
    ASSERT_EQ(mean.size(), want.mean.size());
    ASSERT_EQ(m2.size(), want.m2.size());
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const auto wanted_mean = static_cast<double>(want.mean[c]);
      const auto wanted_m2 = static_cast<double>(want.m2[c]);
      const double spread = std::sqrt(wanted_m2 / static_cast<double>(want.count));
      EXPECT_NEAR(mean[c], wanted_mean,
                  tolerance::relative(dtype()) * spread + 4 * 0x1p-53 * std::fabs(wanted_mean));
      // Twice the relative error of an invstd. If blocks are merged, the difference of two means
      // has the roundings of both: relative to the standard deviation they enter m2 twice as well.
      const double of_means = spread > 0 ? 4 * 0x1p-53 * std::fabs(wanted_mean) / spread : 0.0;
      EXPECT_NEAR(m2[c], wanted_m2, 2 * (tolerance::relative(dtype()) + of_means) * wanted_m2);
    }
  }
};

class MomentsOfManyChannels : public Moments {};

Tensor scalar(double value) { return Tensor::full({}, value, DType::Float64); }

F::Moments moments_of(double count, const std::vector<double>& mean,
                      const std::vector<double>& m2) {
  return {scalar(count), inputs::channels(mean, DType::Float64),
          inputs::channels(m2, DType::Float64)};
}

}  // namespace

TEST_P(Moments, MatchTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      const F::Moments got = F::batch_norm_moments(p.x.tensor());
      expect_kernel("batch_norm_moments", extents);
      expect_moments(got, oracle::statistics(p.x_values));
    }
  }
}

TEST_P(MomentsOfManyChannels, MatchTheFormulas) {
  const shapes::Extents extents{37, 2500, 1,
                                "blocks of fewer rows than a partial sum has elsewhere"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 1e2);
  expect_moments(F::batch_norm_moments(p.x.tensor()), oracle::statistics(p.x_values));
}

TEST_P(Moments, OfPartsMergeToThoseOfTheWhole) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    if (extents.n < 3) {
      continue;
    }
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e4);
    const Tensor x = p.x.tensor();
    const std::int64_t rows = x.size(0);
    const std::int64_t cut = rows / 3;
    F::Moments merged = F::batch_norm_moments(x.narrow(0, 0, 1));
    merged = F::merge(merged, F::batch_norm_moments(x.narrow(0, 1, cut - 1)));
    merged = F::merge(merged, F::batch_norm_moments(x.narrow(0, cut, rows - cut)));
    expect_moments(merged, oracle::statistics(p.x_values));
  }
}

TEST_P(Moments, OfNothingAreZero) {
  for (const shapes::Extents& extents : shapes::without_values()) {
    SCOPED_TRACE(describe(extents));
    placement::Placed x(layout(), extents, dtype());
    const F::Moments got = F::batch_norm_moments(x.tensor());
    EXPECT_EQ(got.count.item<double>(), 0.0);
    EXPECT_EQ(inputs::doubles(got.mean), std::vector<double>(5, 0.0));
    EXPECT_EQ(inputs::doubles(got.m2), std::vector<double>(5, 0.0));
  }
}

TEST_P(Moments, ElemtFinishesTheForward) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e4);
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Values invstd = batch.invstd(eps);
    const Tensor mean = inputs::channels({batch.mean.begin(), batch.mean.end()}, DType::Float64);
    const Tensor scale = inputs::channels({invstd.begin(), invstd.end()}, DType::Float64);
    F::batch_norm_elemt(p.x.tensor(), p.weight, p.bias, mean, scale, p.out.tensor());
    expect_kernel("batch_norm_elemt", extents);
    EXPECT_TRUE(p.out.surroundings_intact());
    const oracle::Values y = oracle::normalize(p.x_values, batch.mean, invstd, p.w(), p.b());
    expect_near(p.out.batch().values, y,
                tolerance::normalized(dtype(), y, batch.mean, invstd, p.w()), "y", dtype());
  }
}

TEST_P(Moments, ReduceAndElemtMakeTheBackward) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e4);
    const auto saved = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps);
    const F::BackwardReduce sums = F::batch_norm_backward_reduce(
        p.dy.tensor(), p.x.tensor(), saved.mean, saved.invstd, p.weight);
    expect_kernel("batch_norm_backward_reduce", extents);
    EXPECT_EQ(sums.sum_dy.dtype(), DType::Float64);
    EXPECT_EQ(sums.dweight.dtype(), element::of_parameters(dtype()));
    const Tensor count = scalar(static_cast<double>(p.x_values.per_channel()));
    F::batch_norm_backward_elemt(p.dy.tensor(), p.x.tensor(), saved.mean, saved.invstd, p.weight,
                                 sums.sum_dy, sums.sum_dy_xmu, count, p.out.tensor());
    expect_kernel("batch_norm_backward_elemt", extents);
    EXPECT_TRUE(p.out.surroundings_intact());
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Gradients truth = oracle::backward(p.dy_values, p.x_values, batch, p.w(), eps);
    const auto allowed = tolerance::gradients(dtype(), p.dy_values, p.x_values, batch.mean,
                                              batch.invstd(eps), p.w(), truth);
    expect_near(p.out.batch().values, truth.dx, allowed.dx, "dx", dtype());
    expect_near(inputs::doubles(sums.dweight), truth.dweight, allowed.dweight, "dweight");
    expect_near(inputs::doubles(sums.dbias), truth.dbias, allowed.dbias, "dbias");
    expect_near(inputs::doubles(sums.sum_dy), truth.dbias, allowed.dbias, "sum_dy");
    const std::vector<double> xmu = inputs::doubles(sums.sum_dy_xmu);
    const oracle::Values invstd = batch.invstd(eps);
    for (std::size_t c = 0; c < xmu.size(); ++c) {
      EXPECT_NEAR(xmu[c] * static_cast<double>(invstd[c]), static_cast<double>(truth.dweight[c]),
                  allowed.dweight);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Moments, ::testing::ValuesIn(every_case()), name_of_param);

INSTANTIATE_TEST_SUITE_P(Kernels, MomentsOfManyChannels, ::testing::ValuesIn(dense_cases()),
                         name_of_param);

TEST(MergeMoments, OfWholeNumbersIsExact) {
  // {1, 3} and {5, 7, 9, 11}: means 2 and 8, sums of squares 2 and 20; together mean 6, 70.
  const F::Moments merged = F::merge(moments_of(2, {2}, {2}), moments_of(4, {8}, {20}));
  EXPECT_EQ(merged.count.item<double>(), 6);
  EXPECT_EQ(merged.mean.item<double>(), 6);
  EXPECT_EQ(merged.m2.item<double>(), 70);
}

TEST(MergeMoments, WithNothingChangesNothing) {
  const F::Moments some = moments_of(3, {1e6, -2}, {0.5, 7});
  // Without values the mean and m2 may have any value.
  for (const double any : {0.0, 5.0, HUGE_VAL, std::nan("")}) {
    const F::Moments none = moments_of(0, {any, any}, {any, any});
    for (const F::Moments& merged : {F::merge(some, none), F::merge(none, some)}) {
      EXPECT_EQ(merged.count.item<double>(), 3);
      EXPECT_TRUE(same_bits(inputs::doubles(merged.mean), {1e6, -2}));
      EXPECT_TRUE(same_bits(inputs::doubles(merged.m2), {0.5, 7}));
      EXPECT_FALSE(merged.mean.is_same(some.mean));
    }
    const F::Moments empty = F::merge(none, none);
    EXPECT_EQ(empty.count.item<double>(), 0);
    EXPECT_TRUE(same_bits(inputs::doubles(empty.mean), {0, 0}));
    EXPECT_TRUE(same_bits(inputs::doubles(empty.m2), {0, 0}));
    const Tensor mean = Tensor::full({2}, 4);
    const Tensor variance = Tensor::full({2}, 9);
    F::update_running_stats(mean, variance, none, 0.5);
    EXPECT_TRUE(same_bits(inputs::doubles(mean), {4, 4}));
    EXPECT_TRUE(same_bits(inputs::doubles(variance), {9, 9}));
  }
}

TEST(BackwardElemt, OfSumsOverNothingScalesTheGradientAlone) {
  const Tensor dy = inputs::channels({1, -3}, DType::Float32).reshape({2, 1});
  const Tensor x = Tensor::ones({2, 1});
  const Tensor mean = Tensor::zeros({1}, DType::Float64);
  const Tensor invstd = Tensor::full({1}, 2, DType::Float64);
  for (const double any : {0.0, 5.0, HUGE_VAL, std::nan("")}) {
    const Tensor sum = Tensor::full({1}, any, DType::Float64);
    const Tensor dx = F::batch_norm_backward_elemt(dy, x, mean, invstd, Tensor::full({1}, 3), sum,
                                                   sum, scalar(0));
    EXPECT_EQ(inputs::doubles(dx), (std::vector<double>{6, -18})) << any;
  }
}
