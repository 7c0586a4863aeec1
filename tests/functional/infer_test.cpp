#include <cmath>

#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;

class Infer : public KernelTest {
 protected:
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  void expect_y(const Problem& p, const oracle::Batch& got) const {
    const oracle::Running running = p.running();
    const oracle::Values invstd = oracle::invstd_of(running.variance, eps);
    const oracle::Values y = oracle::infer(p.x_values, running, p.w(), p.b(), eps);
    const oracle::Values exact(running.mean.size(), 0);  // no error of the mean is allowed for
    expect_near(got.values, y, tolerance::normalized(dtype(), y, exact, invstd, p.w()), "y",
                dtype());
  }
};

class InferInPlace : public Infer {};

/// Inference works with one value per channel too.
std::vector<shapes::Extents> all_shapes() {
  std::vector<shapes::Extents> all = shapes::trainable();
  for (const shapes::Extents& extents : shapes::single_value()) {
    all.push_back(extents);
  }
  return all;
}

}  // namespace

TEST_P(Infer, MatchesTheFormulaAroundAnyMean) {
  for (const shapes::Extents& extents : all_shapes()) {
    for (const double mean : each_of<double>({0.0, 1e2, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const Tensor y = F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var, p.weight,
                                           p.bias, eps, out);
      expect_kernel("batch_norm_infer", extents);
      EXPECT_TRUE(y.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      expect_y(p, p.out.batch());
      EXPECT_TRUE(same_bits(inputs::doubles(p.running_mean), p.layer.running_mean));
      EXPECT_TRUE(same_bits(inputs::doubles(p.running_var), p.layer.running_var));
    }
  }
}

TEST_P(Infer, WeightAndBiasAreEachOptional) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    for (const bool with_weight : {false, true}) {
      Problem p = problem(extents, 0.0);
      const auto channels = static_cast<std::size_t>(extents.c);
      (with_weight ? p.layer.bias : p.layer.weight).assign(channels, with_weight ? 0.0 : 1.0);
      F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var,
                          with_weight ? p.weight : Tensor(), with_weight ? Tensor() : p.bias, eps,
                          p.out.tensor());
      expect_y(p, p.out.batch());
    }
  }
}

TEST_P(InferInPlace, MayOverwriteX) {
  for (const shapes::Extents& extents : all_shapes()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e4);
    Tensor x = p.x.tensor();
    F::batch_norm_infer(x, p.running_mean, p.running_var, p.weight, p.bias, eps, x);
    EXPECT_TRUE(p.x.surroundings_intact());
    expect_y(p, p.x.batch());
  }
}

TEST_P(Infer, NanStaysInItsPlace) {
  const shapes::Extents extents{3, 17, 33, "odd in every direction"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 1e2);
  const Layout where = layout();
  F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var, p.weight, p.bias, eps,
                      p.out.tensor());
  const std::vector<double> clean = p.out.batch().values;
  std::vector<double> values = p.x_values.values;
  const std::size_t at = p.x_values.index(2, 16, 32);  // the last row: a Broadcast keeps it
  values[at] = std::nan("");
  p.set_x(values);
  F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var, p.weight, p.bias, eps,
                      p.out.tensor());
  const std::vector<double> got = p.out.batch().values;
  constexpr std::size_t row = std::size_t{17} * 33;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same_place = i == at || (where == Layout::Broadcast && i % row == at % row);
    ASSERT_TRUE(same_place ? std::isnan(got[i]) : got[i] == clean[i]) << i;
  }
}

TEST_P(Infer, ANegativeVarianceIsNanAndNothingElse) {
  const shapes::Extents extents{2, 5, 16, "one channel of five has a negative variance"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 0.0);
  p.layer.running_var[3] = -1.0;
  p.running_var = inputs::channels(p.layer.running_var, element::of_parameters(dtype()));
  F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var, p.weight, p.bias, eps,
                      p.out.tensor());
  const oracle::Batch got = p.out.batch();
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    ASSERT_EQ(std::isnan(got.values[i]), i / 16 % 5 == 3) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Infer, ::testing::ValuesIn(every_case()), name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, InferInPlace, ::testing::ValuesIn(writable_cases()),
                         name_of_param);
