#include <cmath>

#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;

class Train : public KernelTest {
 protected:
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  void expect_y(const Problem& p, const oracle::Batch& got, double epsilon,
                double allowance = 1) const {
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Values invstd = batch.invstd(epsilon);
    const oracle::Values y = oracle::normalize(p.x_values, batch.mean, invstd, p.w(), p.b());
    const double allowed = tolerance::normalized(dtype(), y, batch.mean, invstd, p.w());
    expect_near(got.values, y, allowance * allowed, "y", dtype());
  }
};

class TrainInPlace : public Train {};
class TrainDense : public Train {};

/// x with another value in one channel's every place or in its first place alone.
std::vector<double> with_channel(const oracle::Batch& x, std::int64_t channel, double value,
                                 bool everywhere) {
  std::vector<double> values = x.values;
  for (std::int64_t n = 0; n < (everywhere ? x.n : 1); ++n) {
    for (std::int64_t l = 0; l < (everywhere ? x.l : 1); ++l) {
      values[x.index(n, channel, l)] = value;
    }
  }
  return values;
}

}  // namespace

TEST_P(Train, MatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e2, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const auto result = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, out);
      expect_kernel("batch_norm_train", extents);
      EXPECT_TRUE(result.y.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      EXPECT_TRUE(same_bits(p.x.batch().values, p.x_values.values)) << "x was written";
      expect_y(p, p.out.batch(), eps);
    }
  }
}

TEST_P(Train, ReturnsTheBatchStatistics) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      const auto result = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps);
      const oracle::Statistics truth = oracle::statistics(p.x_values);
      const oracle::Values invstd = truth.invstd(eps);
      ASSERT_EQ(result.mean.dtype(), DType::Float64);
      ASSERT_EQ(result.invstd.dtype(), DType::Float64);
      const std::vector<double> got_mean = inputs::doubles(result.mean);
      const std::vector<double> got_invstd = inputs::doubles(result.invstd);
      for (std::size_t c = 0; c < got_mean.size(); ++c) {
        const auto want = static_cast<double>(truth.mean[c]);
        const auto spread = static_cast<double>(1 / invstd[c]);
        EXPECT_NEAR(got_mean[c], want,
                    tolerance::relative(dtype()) * spread + 2 * 0x1p-53 * std::fabs(want));
        // If blocks are merged, the difference of two means has the roundings of both.
        const double of_means = 2 * 0x1p-53 * std::fabs(want) / spread;
        EXPECT_NEAR(got_invstd[c] * spread, 1.0, tolerance::relative(dtype()) + of_means);
      }
    }
  }
}

TEST_P(Train, WeightAndBiasAreEachOptional) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    for (const bool with_weight : {false, true}) {
      Problem p = problem(extents, 0.0);
      const auto channels = static_cast<std::size_t>(extents.c);
      (with_weight ? p.layer.bias : p.layer.weight).assign(channels, with_weight ? 0.0 : 1.0);
      F::batch_norm_train(p.x.tensor(), with_weight ? p.weight : Tensor(),
                          with_weight ? Tensor() : p.bias, eps, p.out.tensor());
      expect_y(p, p.out.batch(), eps);
    }
  }
}

TEST_P(TrainInPlace, MayOverwriteX) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e4);
    Tensor x = p.x.tensor();
    F::batch_norm_train(x, p.weight, p.bias, eps, x);
    EXPECT_TRUE(p.x.surroundings_intact());
    expect_y(p, p.x.batch(), eps);
  }
}

TEST_P(Train, ANewOutputIsLaidOutLikeX) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 0.0);
    const Tensor x = p.x.tensor();
    const Tensor y = F::batch_norm_train(x, p.weight, p.bias, eps).y;
    F::batch_norm_train(x, p.weight, p.bias, eps, p.out.tensor());
    EXPECT_EQ(y.shape(), x.shape());
    EXPECT_EQ(y.dtype(), x.dtype());
    EXPECT_TRUE(same_bits(inputs::doubles(y), inputs::doubles(p.out.tensor())));
    if (layout() == Layout::Nlc || layout() == Layout::Nc || layout() == Layout::Ncl) {
      const bool vacuous = extents.c == 1 || extents.l == 1;  // an axis of one has any stride
      EXPECT_TRUE(vacuous || y.strides() == x.strides());
    }
  }
}

TEST_P(Train, AConstantChannelIsJustItsBias) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double value : each_of<double>({0.0, 10000.0 / 3, -1e6 / 7}, extents)) {
      SCOPED_TRACE(describe(extents) + ", value " + std::to_string(value));
      Problem p = problem(extents, 0.0);
      const auto count = static_cast<std::size_t>(extents.numel());
      const double held = source(extents).rounded(element::within(dtype(), value));
      p.set_x(std::vector<double>(count, held));
      F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, p.out.tensor());
      const oracle::Batch y = p.out.batch();
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t c = i / static_cast<std::size_t>(y.l) % p.layer.bias.size();
        ASSERT_EQ(y.values[i], element::rounded(dtype(), p.layer.bias[c])) << i;
      }
    }
  }
}

TEST_P(Train, OutliersLeaveTheOthersRight) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 0.0);
    std::vector<double> values = p.x_values.values;
    for (std::int64_t c = 0; c < extents.c; ++c) {
      const double outlier = element::within(dtype(), c % 2 == 0 ? 1e4 : -3e5);
      values[p.x_values.index(0, c, 0)] = source(extents).rounded(outlier);
    }
    p.set_x(values);
    F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, p.out.tensor());
    // One value outweighs all others, so that the roundings of its block are not averaged out.
    expect_y(p, p.out.batch(), eps, 4);
  }
}

TEST_P(TrainDense, NanAndInfinityStayInTheirChannel) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    if (extents.c < 3) {
      continue;
    }
    for (const double bad : each_of<double>({std::nan(""), HUGE_VAL, -HUGE_VAL}, extents)) {
      SCOPED_TRACE(describe(extents) + ", value " + std::to_string(bad));
      Problem p = problem(extents, 1e2);
      F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, p.out.tensor());
      const oracle::Batch clean = p.out.batch();
      p.set_x(with_channel(p.x_values, 1, bad, false));
      F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, p.out.tensor());
      const oracle::Batch got = p.out.batch();
      EXPECT_TRUE(same_bits(with_channel(got, 1, 0.0, true), with_channel(clean, 1, 0.0, true)));
      for (std::int64_t n = 0; n < got.n; ++n) {
        for (std::int64_t l = 0; l < got.l; ++l) {
          ASSERT_TRUE(std::isnan(got.values[got.index(n, 1, l)]));
        }
      }
    }
  }
}

TEST_P(TrainDense, HugeAndTinyValuesAreScaledAway) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double scale : each_of(inputs::extreme_scales(dtype()), extents)) {
      for (const bool in_place : {false, true}) {
        SCOPED_TRACE(describe(extents) + ", scale " + std::to_string(std::log10(scale)));
        Problem p = problem(extents, 0.0);
        const inputs::Source rounding = source(extents);
        std::vector<double> values = p.x_values.values;
        for (double& value : values) {
          value = rounding.rounded(value * scale);
        }
        p.set_x(values);
        const double epsilon = scale > 1 ? eps : 0.0;  // any other would drown the tiny values
        placement::Placed& y = in_place ? p.x : p.out;
        F::batch_norm_train(p.x.tensor(), p.weight, p.bias, epsilon, y.tensor());
        expect_y(p, y.batch(), epsilon);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Train, ::testing::ValuesIn(every_case()), name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, TrainInPlace, ::testing::ValuesIn(writable_cases()),
                         name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, TrainDense, ::testing::ValuesIn(dense_cases()), name_of_param);
