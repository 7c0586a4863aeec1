#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "halnorm/functional_fused.h"
#include "halnorm/halnorm.h"
#include "support/cases/element.h"
#include "support/cases/range_case.h"

// Single inputs at the ends of float32's range, with their exact results.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

constexpr double infinity = HUGE_VAL;

class RangeEdges : public KernelTest {
 protected:
  /// One channel of these values, rounded to the case's dtype.
  [[nodiscard]] Tensor column(const std::vector<double>& values) const {
    const auto count = static_cast<std::int64_t>(values.size());
    return Tensor::from(std::span<const double>(values), {count, 1}).to(dtype());
  }
  [[nodiscard]] Tensor parameter(double value) const {
    return Tensor::full({1}, value, element::of_parameters(dtype()));
  }
  [[nodiscard]] Tensor statistic(double value) const {
    return Tensor::full({1}, value, DType::Float64);
  }
  void expect_values(const Tensor& got, const std::vector<double>& want) const {
    ASSERT_EQ(got.numel(), static_cast<std::int64_t>(want.size()));
    const std::vector<double> values = inputs::doubles(got);
    double most = 0;
    for (const double value : want) {
      most = std::isinf(value) ? most : std::max(most, std::fabs(value));
    }
    const double allowed = 4 * element::roundoff(dtype()) * most;
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_TRUE(values[i] == want[i] || std::fabs(values[i] - want[i]) <= allowed)
          << "[" << i << "]: got " << values[i] << ", wanted " << want[i];
    }
  }
};

/// The cases whose range is that of float32.
std::vector<KernelCase> cases() {
  std::vector<KernelCase> some;
  for (const KernelCase& one : dense_cases()) {
    if (one.layout == placement::Layout::Nc &&
        (one.dtype == DType::Float32 || one.dtype == DType::BFloat16)) {
      some.push_back(one);
    }
  }
  return some;
}

}  // namespace

TEST_P(RangeEdges, DifferencesThatOverflowAreFinite) {
  const Tensor x = column({-3e38, 2.7e38});
  Tensor running_mean = parameter(0);
  Tensor running_var = parameter(1);
  const auto got = F::batch_norm_train_update(x, running_mean, running_var, {}, {}, 0.5, 1e-5);
  expect_values(got.y, {-1, 1});
  expect_values(running_mean, {0.5 * got.mean.data<double>()[0]});
  EXPECT_EQ(running_var.to_vector<double>()[0], infinity);  // 8e76 is
  expect_values(F::batch_norm_fused_train(x, column({1, -3}), {}, {}, 1e-5).y, {0, 0});

  std::vector<double> many;
  for (int i = 0; i < 512; ++i) {
    many.push_back(i % 2 == 0 ? 1e36 : -1e36);
  }
  std::vector<double> ones = many;
  for (double& value : ones) {
    value /= 1e36;
  }
  expect_values(F::batch_norm_train(column(many), {}, {}, 1e-5).y, ones);
}

TEST_P(RangeEdges, AConstantChannelIsItsBiasForAnyEps) {
  for (const double value : {0.0, 1e-38, 1e-30, 1.0, -1e38, 3e38}) {
    for (const double eps : {1e-5, 1e-45, 1e-80, 1e-190}) {  // invstd^3 is within a double's range
      SCOPED_TRACE(std::to_string(std::log10(value)) + ", eps " + std::to_string(std::log10(eps)));
      const Tensor x = column({value, value, value});
      const auto got = F::batch_norm_train(x, parameter(3), parameter(0.75), eps);
      expect_values(got.y, {0.75, 0.75, 0.75});
      EXPECT_DOUBLE_EQ(got.invstd.data<double>()[0], 1 / std::sqrt(eps));
      EXPECT_EQ(F::batch_norm_moments(x).m2.data<double>()[0], 0);
      const auto back =
          F::batch_norm_backward(column({2, 2, 2}), x, parameter(3), got.mean, got.invstd);
      expect_values(back.dx, {0, 0, 0});
      expect_values(back.dweight, {0});
      expect_values(back.dbias, {6});
    }
  }
}

TEST_P(RangeEdges, AnInvstdBeyondFloat32IsNoNan) {
  const Tensor zero = parameter(0);
  expect_values(F::batch_norm_infer(column({0, 1}), zero, zero, {}, {}, 1e-80), {0, infinity});
  expect_values(F::batch_norm_fused_infer(column({0, 1}), {}, zero, zero, {}, {}, 1e-80),
                {0, infinity});
  expect_values(F::batch_norm_elemt(column({0, 1e-20}), {}, {}, statistic(0), statistic(1e40)),
                {0, 1e20});
  const auto back =
      F::batch_norm_backward_infer(column({0, -1}), column({1, 2}), {}, zero, zero, 1e-80);
  expect_values(back.dx, {0, -infinity});
  expect_values(back.dweight, {-infinity});
}

TEST_P(RangeEdges, ADistanceFromTheMeanBeyondFloat32IsFinite) {
  const Tensor x = column({3e38});
  const Tensor mean = parameter(-3e38);
  const double want = (inputs::doubles(x)[0] - inputs::doubles(mean)[0]) / std::sqrt(3e38);
  expect_values(F::batch_norm_infer(x, mean, parameter(3e38), {}, {}, 0), {want});
  expect_values(F::batch_norm_infer(x, mean, parameter(3e38), {}, {}, 0, x), {want});
  expect_values(x, {want});
  const Tensor infinite = parameter(infinity);  // the variance of a larger batch
  expect_values(F::batch_norm_infer(column({3e38}), mean, infinite, {}, parameter(2), 1e-5), {2});
  expect_values(
      F::batch_norm_infer(column({3e38}), mean, parameter(3e38), parameter(0), parameter(2), 1e-5),
      {2});
}

TEST_P(RangeEdges, SumsBeyondFloat32AreFinite) {
  const auto got = F::batch_norm_backward_reduce(column({1, 1, 2}), column({1e38, 1e38, 3e38}),
                                                 statistic(0), statistic(1e-38), {});
  const double sum =
      2 * inputs::doubles(column({1e38}))[0] + 2 * inputs::doubles(column({3e38}))[0];
  expect_values(got.sum_dy_xmu, {sum});
  expect_values(got.dweight, {sum * 1e-38});
  const double largest = range_case::largest_of(dtype());
  const auto dy = column({largest, largest, -largest});
  expect_values(
      F::batch_norm_backward_reduce(dy, column({1, 2, 3}), statistic(2), statistic(1), {}).sum_dy,
      {inputs::doubles(column({largest}))[0]});
}

TEST_P(RangeEdges, NanStaysInItsChannel) {
  const Tensor x = Tensor::randn({5, 3}, 1).to(dtype());
  const Tensor dy = Tensor::randn({5, 3}, 2).to(dtype());
  const DType parameters = element::of_parameters(dtype());
  const Tensor mean = Tensor::zeros({3}, parameters);
  const Tensor var = Tensor::ones({3}, parameters);
  const Tensor bad = inputs::channels({0, std::nan(""), 0}, parameters);
  const auto expect_just_there = [](const Tensor& got, const Tensor& clean) {
    const std::vector<double> a = inputs::doubles(got);
    const std::vector<double> b = inputs::doubles(clean);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(i % 3 == 1 ? std::isnan(a[i]) : a[i] == b[i]) << i;
    }
  };
  expect_just_there(F::batch_norm_infer(x, bad, var, {}, {}, 1e-5),
                    F::batch_norm_infer(x, mean, var, {}, {}, 1e-5));
  expect_just_there(F::batch_norm_infer(x, mean, bad, {}, {}, 1e-5),
                    F::batch_norm_infer(x, mean, mean, {}, {}, 1e-5));
  expect_just_there(F::batch_norm_backward_infer(dy, x, {}, mean, bad, 1e-5).dx,
                    F::batch_norm_backward_infer(dy, x, {}, mean, mean, 1e-5).dx);
}

TEST_P(RangeEdges, ModulesHoldIt) {
  for (const double scale : {1e-30, 1e30}) {
    const Tensor x = column({-scale, scale, scale, -scale});
    const Tensor dy = column({scale, 0, 0, 0});
    halnorm::nn::BatchNorm1d layer(1, {.eps = 0});
    expect_values(layer(x), {-1, 1, 1, -1});
    // dbias = scale, dweight = -scale: dx = (dy - scale / 4 + xhat * scale / 4) / std.
    const double std = std::fabs(inputs::doubles(x)[0]);
    const double unit = inputs::doubles(dy)[0] / std;
    expect_values(layer.backward(dy), {unit / 2, 0, 0, -unit / 2});
    expect_values(layer.weight.grad(), {-inputs::doubles(dy)[0]});
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, RangeEdges, ::testing::ValuesIn(cases()), name_of_param);
