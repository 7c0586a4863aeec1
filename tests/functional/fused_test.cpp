#include <cmath>

#include "support/fused.h"

namespace F = halnorm::functional;
using fused::AddedProblem;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;
const shapes::Extents odd{3, 17, 33, "odd in every direction"};

class Fused : public KernelTest {
 protected:
  [[nodiscard]] AddedProblem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  static F::BatchNormForward train(AddedProblem& p, const Tensor& out) {
    return F::batch_norm_fused_train(p.x.tensor(), p.addend.tensor(), p.weight, p.bias, eps, out);
  }
  static Tensor infer(AddedProblem& p, const Tensor& out) {
    return F::batch_norm_fused_infer(p.x.tensor(), p.addend.tensor(), p.running_mean, p.running_var,
                                     p.weight, p.bias, eps, out);
  }
};

class FusedInPlace : public Fused {};
class FusedDense : public Fused {};

}  // namespace

/// One channel without gaps is one row for the kernels, and the zeros of no addend are as long.
TEST(FusedOneChannel, OfManyRowsHasAsManyZeros) {
  const Tensor x = Tensor::randn({70000, 1}, 1);
  const Tensor zeros = Tensor::zeros({70000, 1});
  const auto without = F::batch_norm_fused_train(x, {}, {}, {}, eps);
  EXPECT_EQ(without.y.to_vector<float>(),
            F::batch_norm_fused_train(x, zeros, {}, {}, eps).y.to_vector<float>());
}

TEST_P(Fused, TrainMatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      AddedProblem p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const auto result = train(p, out);
      expect_kernel("batch_norm_fused_train", extents);
      EXPECT_TRUE(result.y.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      fused::expect_trained(p, dtype(), p.out.batch(), eps);
    }
  }
}

TEST_P(Fused, InferMatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      AddedProblem p = problem(extents, mean);
      Tensor out = p.out.tensor();
      EXPECT_TRUE(infer(p, out).is_same(out));
      expect_kernel("batch_norm_fused_infer", extents);
      EXPECT_TRUE(p.out.surroundings_intact());
      fused::expect_inferred(p, dtype(), p.out.batch(), eps);
    }
  }
}

TEST_P(Fused, ASlopeMultipliesWhatIsNegative) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const double slope : each_of<double>({0.01, 0.3, 1.0}, extents)) {
      SCOPED_TRACE(describe(extents) + ", slope " + std::to_string(slope));
      AddedProblem p = problem(extents, 1e2);
      F::batch_norm_fused_train(p.x.tensor(), p.addend.tensor(), p.weight, p.bias, eps,
                                p.out.tensor(), slope);
      fused::expect_trained(p, dtype(), p.out.batch(), eps, slope);
      F::batch_norm_fused_infer(p.x.tensor(), p.addend.tensor(), p.running_mean, p.running_var,
                                p.weight, p.bias, eps, p.out.tensor(), slope);
      fused::expect_inferred(p, dtype(), p.out.batch(), eps, slope);
    }
  }
}

TEST_P(Fused, WithoutAnAddendItIsZero) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    AddedProblem p = problem(extents, 1e2);
    p.addend_values.values.assign(p.addend_values.values.size(), 0.0);
    F::batch_norm_fused_train(p.x.tensor(), Tensor(), p.weight, p.bias, eps, p.out.tensor());
    fused::expect_trained(p, dtype(), p.out.batch(), eps);
    F::batch_norm_fused_infer(p.x.tensor(), Tensor(), p.running_mean, p.running_var, p.weight,
                              p.bias, eps, p.out.tensor());
    fused::expect_inferred(p, dtype(), p.out.batch(), eps);
  }
}

TEST_P(Fused, WithoutWeightAndBiasTheyAreOneAndZero) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    AddedProblem p = problem(extents, 0.0);
    p.layer.weight.assign(static_cast<std::size_t>(extents.c), 1.0);
    p.layer.bias.assign(static_cast<std::size_t>(extents.c), 0.0);
    p.weight = p.bias = Tensor();
    train(p, p.out.tensor());
    fused::expect_trained(p, dtype(), p.out.batch(), eps);
    infer(p, p.out.tensor());
    fused::expect_inferred(p, dtype(), p.out.batch(), eps);
  }
}

TEST_P(Fused, StatisticsAreThoseOfTheUnfusedPass) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    AddedProblem p = problem(extents, 1e2);
    AddedProblem q = problem(extents, 1e2);
    const auto one =
        F::batch_norm_fused_train_update(p.x.tensor(), p.addend.tensor(), p.running_mean,
                                         p.running_var, p.weight, p.bias, 0.25, eps);
    const auto other = F::batch_norm_train_update(q.x.tensor(), q.running_mean, q.running_var,
                                                  q.weight, q.bias, 0.25, eps);
    // Each is within the tolerance of the truth; the means are of the order of 1e2.
    const double apart = 2 * tolerance::relative(dtype());
    const auto near = [&](const Tensor& got, const Tensor& want) {
      const std::vector<double> values = inputs::doubles(want);
      expect_near(inputs::doubles(got), inputs::real(values), apart * largest(inputs::real(values)),
                  "statistics");
    };
    near(one.mean, other.mean);
    near(one.invstd, other.invstd);
    near(p.running_mean, q.running_mean);
    near(p.running_var, q.running_var);
    EXPECT_FALSE(same_bits(inputs::doubles(p.running_var), p.layer.running_var));
    EXPECT_TRUE(same_bits(inputs::doubles(one.y), inputs::doubles(train(p, p.out.tensor()).y)));
  }
}

TEST_P(FusedInPlace, MayOverwriteXOrTheAddend) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const bool over_x : each_of<bool>({false, true}, extents)) {
      SCOPED_TRACE(describe(extents) + (over_x ? ", y over x" : ", y over addend"));
      AddedProblem p = problem(extents, 1e2);
      placement::Placed& place = over_x ? p.x : p.addend;
      train(p, place.tensor());
      EXPECT_TRUE(place.surroundings_intact());
      fused::expect_trained(p, dtype(), place.batch(), eps);

      place.assign(over_x ? p.x_values.values : p.addend_values.values);
      infer(p, place.tensor());
      EXPECT_TRUE(place.surroundings_intact());
      fused::expect_inferred(p, dtype(), place.batch(), eps);
    }
  }
}

TEST_P(FusedInPlace, HugeAndTinyValuesAreScaledAway) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const double scale : inputs::extreme_scales(dtype())) {
      for (const int place : {0, 1, 2}) {
        SCOPED_TRACE(describe(extents) + ", scale " + std::to_string(std::log10(scale)));
        AddedProblem p = problem(extents, 0.0);
        std::vector<double> values = p.x_values.values;
        for (double& value : values) {
          value = source(extents).rounded(value * scale);
        }
        p.set_x(values);
        const double epsilon = scale > 1 ? eps : 0.0;  // any other would drown the tiny values
        placement::Placed& y = place == 0 ? p.out : place == 1 ? p.x : p.addend;
        F::batch_norm_fused_train(p.x.tensor(), p.addend.tensor(), p.weight, p.bias, epsilon,
                                  y.tensor());
        fused::expect_trained(p, dtype(), y.batch(), epsilon);
      }
    }
  }
}

TEST_P(Fused, TheAddendMayHaveAnotherLayout) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const Layout other : placement::all_layouts()) {
      if ((other == Layout::Nc) != (layout() == Layout::Nc)) {
        continue;  // another rank
      }
      SCOPED_TRACE(describe(extents) + ", addend " + placement::name_of(other));
      AddedProblem p = problem(extents, 1e2);
      p.addend = placement::Placed(other, extents, dtype());
      p.addend.assign(p.addend_values.values);
      p.addend_values = p.addend.batch();
      train(p, p.out.tensor());
      fused::expect_trained(p, dtype(), p.out.batch(), eps);
      infer(p, p.out.tensor());
      fused::expect_inferred(p, dtype(), p.out.batch(), eps);
    }
  }
}

TEST_P(FusedDense, NanStaysInItsChannelAndInItsPlace) {
  SCOPED_TRACE(describe(odd));
  AddedProblem p = problem(odd, 0.0);
  const std::size_t at = p.x_values.index(2, 16, 32);
  const auto nans_of = [&] {
    std::vector<std::size_t> found;
    const std::vector<double> got = p.out.batch().values;
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(got[i])) {
        found.push_back(i);
      }
    }
    return found;
  };
  p.addend_values.values[at] = std::nan("");
  p.addend.assign(p.addend_values.values);
  train(p, p.out.tensor());
  EXPECT_EQ(nans_of(), std::vector<std::size_t>{at});
  infer(p, p.out.tensor());
  EXPECT_EQ(nans_of(), std::vector<std::size_t>{at});

  p.addend.assign(p.dy_values.values);
  std::vector<double> values = p.x_values.values;
  values[at] = std::nan("");
  p.set_x(values);
  infer(p, p.out.tensor());
  EXPECT_EQ(nans_of(), std::vector<std::size_t>{at});
  train(p, p.out.tensor());
  EXPECT_EQ(nans_of().size(), std::size_t{3} * 33);
  for (const std::size_t i : nans_of()) {
    EXPECT_EQ(i / 33 % 17, 16U);
  }
}

TEST_P(Fused, AnEmptyBatchGivesAnEmptyResult) {
  for (const shapes::Extents& extents : shapes::without_values()) {
    SCOPED_TRACE(describe(extents));
    AddedProblem p = problem(extents, 0.0);
    EXPECT_EQ(train(p, Tensor()).y.shape(), p.x.tensor().shape());
    EXPECT_EQ(infer(p, Tensor()).shape(), p.x.tensor().shape());
    F::batch_norm_fused_train_update(p.x.tensor(), p.addend.tensor(), p.running_mean, p.running_var,
                                     p.weight, p.bias, 0.5, eps);
    EXPECT_TRUE(same_bits(inputs::doubles(p.running_var), p.layer.running_var));
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Fused, ::testing::ValuesIn(every_case()), name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, FusedInPlace, ::testing::ValuesIn(writable_cases()),
                         name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, FusedDense, ::testing::ValuesIn(dense_cases()), name_of_param);
