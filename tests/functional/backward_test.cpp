#include <cmath>
#include <functional>

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

class Backward : public KernelTest {
 protected:
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  /// The batch statistics as a forward of the library returns them.
  [[nodiscard]] static F::BatchNormForward forward(Problem& p) {
    return F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps);
  }

  void expect_gradients(const Problem& p, const oracle::Batch& dx, const F::BatchNormBackward& got,
                        const oracle::Gradients& truth, const oracle::Values& mean,
                        const oracle::Values& invstd) const {
    const auto allowed =
        tolerance::gradients(dtype(), p.dy_values, p.x_values, mean, invstd, p.w(), truth);
    expect_near(dx.values, truth.dx, allowed.dx, "dx", dtype());
    expect_near(inputs::doubles(got.dweight), truth.dweight, allowed.dweight, "dweight");
    expect_near(inputs::doubles(got.dbias), truth.dbias, allowed.dbias, "dbias");
  }

  void expect_training_gradients(const Problem& p, const oracle::Batch& dx,
                                 const F::BatchNormBackward& got) const {
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    expect_gradients(p, dx, got, oracle::backward(p.dy_values, p.x_values, batch, p.w(), eps),
                     batch.mean, batch.invstd(eps));
  }

  void expect_inference_gradients(const Problem& p, const oracle::Batch& dx,
                                  const F::BatchNormBackward& got) const {
    const oracle::Running running = p.running();
    expect_gradients(p, dx, got,
                     oracle::backward_infer(p.dy_values, p.x_values, running, p.w(), eps),
                     running.mean, oracle::invstd_of(running.variance, eps));
  }
};

class BackwardInPlace : public Backward {};

}  // namespace

TEST_P(Backward, MatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      const auto saved = forward(p);
      Tensor out = p.out.tensor();
      const auto got = F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight, saved.mean,
                                              saved.invstd, out);
      expect_kernel("batch_norm_backward", extents);
      EXPECT_TRUE(got.dx.is_same(out));
      EXPECT_EQ(got.dweight.dtype(), element::of_parameters(dtype()));
      EXPECT_TRUE(p.out.surroundings_intact());
      expect_training_gradients(p, p.out.batch(), got);
    }
  }
}

TEST_P(Backward, OfAConstantChannelAndAConstantDyIsZero) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double dy : each_of<double>({1.0, -0.0625}, extents)) {
      SCOPED_TRACE(describe(extents) + ", dy " + std::to_string(dy));
      Problem p = problem(extents, 0.0);
      const auto count = static_cast<std::size_t>(extents.numel());
      p.set_x(
          std::vector<double>(count, source(extents).rounded(element::within(dtype(), 1e4 / 3))));
      p.set_dy(std::vector<double>(count, dy));
      const auto saved = forward(p);
      F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight, saved.mean, saved.invstd,
                             p.out.tensor());
      for (const double dx : p.out.batch().values) {
        ASSERT_EQ(dx, 0.0);
      }
    }
  }
}

TEST_P(Backward, OfInferenceMatchesTheFormulas) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const auto got = F::batch_norm_backward_infer(p.dy.tensor(), p.x.tensor(), p.weight,
                                                    p.running_mean, p.running_var, eps, out);
      expect_kernel("batch_norm_backward_infer", extents);
      EXPECT_TRUE(got.dx.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      expect_inference_gradients(p, p.out.batch(), got);
    }
  }
}

TEST_P(BackwardInPlace, MayOverwriteDy) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 1e2);
    const auto saved = forward(p);
    Tensor dy = p.dy.tensor();
    const auto got =
        F::batch_norm_backward(dy, p.x.tensor(), p.weight, saved.mean, saved.invstd, dy);
    EXPECT_TRUE(p.dy.surroundings_intact());
    expect_training_gradients(p, p.dy.batch(), got);

    p.dy.assign(p.dy_values.values);
    const auto infer = F::batch_norm_backward_infer(dy, p.x.tensor(), p.weight, p.running_mean,
                                                    p.running_var, eps, dy);
    EXPECT_TRUE(p.dy.surroundings_intact());
    expect_inference_gradients(p, p.dy.batch(), infer);
  }
}

TEST_P(BackwardInPlace, OfHugeValuesIsRight) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const double scale : inputs::huge_scales(dtype())) {
      SCOPED_TRACE(describe(extents) + ", scale " + std::to_string(std::log10(scale)));
      Problem p = problem(extents, 0.0);
      std::vector<double> values = p.x_values.values;
      for (double& value : values) {
        value = source(extents).rounded(value * scale);
      }
      p.set_x(values);
      const auto saved = forward(p);
      Tensor dy = p.dy.tensor();
      const auto got =
          F::batch_norm_backward(dy, p.x.tensor(), p.weight, saved.mean, saved.invstd, dy);
      expect_training_gradients(p, p.dy.batch(), got);
    }
  }
}

TEST_P(Backward, DyMayHaveAnotherLayout) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const Layout other : placement::all_layouts()) {
      if ((other == Layout::Nc) != (layout() == Layout::Nc)) {
        continue;  // another rank
      }
      SCOPED_TRACE(describe(extents) + ", dy " + placement::name_of(other));
      Problem p = problem(extents, 1e2);
      placement::Placed dy(other, extents, dtype());
      dy.assign(p.dy_values.values);
      p.dy_values = dy.batch();
      const auto saved = forward(p);
      const auto got = F::batch_norm_backward(dy.tensor(), p.x.tensor(), p.weight, saved.mean,
                                              saved.invstd, p.out.tensor());
      expect_training_gradients(p, p.out.batch(), got);
    }
  }
}

TEST_P(Backward, WithoutAWeightItIsOne) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 0.0);
    p.layer.weight.assign(static_cast<std::size_t>(extents.c), 1.0);
    const auto saved = forward(p);
    const auto got = F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), Tensor(), saved.mean,
                                            saved.invstd, p.out.tensor());
    expect_training_gradients(p, p.out.batch(), got);
    const auto got_infer = F::batch_norm_backward_infer(
        p.dy.tensor(), p.x.tensor(), Tensor(), p.running_mean, p.running_var, eps, p.out.tensor());
    expect_inference_gradients(p, p.out.batch(), got_infer);
  }
}

TEST_P(Backward, StatisticsMayBeFloat32) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    Problem p = problem(extents, 0.0);
    const auto saved = forward(p);
    const Tensor mean = saved.mean.to(DType::Float32);
    const Tensor invstd = saved.invstd.to(DType::Float32);
    const auto narrow = F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight, mean, invstd);
    const auto same = F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight,
                                             mean.to(DType::Float64), invstd.to(DType::Float64));
    EXPECT_TRUE(same_bits(inputs::doubles(narrow.dx), inputs::doubles(same.dx)));
    EXPECT_TRUE(same_bits(inputs::doubles(narrow.dweight), inputs::doubles(same.dweight)));
  }
}

TEST_P(Backward, MatchesFiniteDifferences) {
  const shapes::Extents extents{3, 4, 5, "small enough for differences in every element"};
  SCOPED_TRACE(describe(extents));
  Problem p = problem(extents, 0.0);
  const auto saved = forward(p);
  F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight, saved.mean, saved.invstd,
                         p.out.tensor());
  const auto loss = [&](const oracle::Batch& x) {
    const oracle::Values y = oracle::train(x, p.w(), p.b(), eps);
    oracle::Real sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += p.dy_values.values[i] * y[i];
    }
    return sum;
  };
  // A Broadcast's rows share their memory, not their gradients: each is varied alone.
  oracle::Batch moved = p.x_values;
  oracle::Values differences;
  constexpr double step = 0x1p-17;
  for (double& value : moved.values) {
    const double kept = value;
    value = kept + step;
    const oracle::Real above = loss(moved);
    value = kept - step;
    differences.push_back((above - loss(moved)) / (2 * oracle::Real{step}));
    value = kept;
  }
  const double scale = std::max(1.0, largest(differences));
  // The differences' own error is about step^2 = 6e-11 times a third derivative of 10 to 100.
  expect_near(p.out.batch().values, differences, scale * (tolerance::relative(dtype()) * 3 + 1e-8),
              "dx", dtype());
}

INSTANTIATE_TEST_SUITE_P(Kernels, Backward, ::testing::ValuesIn(every_case()), name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, BackwardInPlace, ::testing::ValuesIn(writable_cases()),
                         name_of_param);
