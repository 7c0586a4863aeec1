#include <cmath>

#include "support/fused.h"

namespace F = halnorm::functional;
using fused::AddedProblem;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;

/// A problem with any y, a third of which is zero: the backward uses only its sign.
struct Case : AddedProblem {
  placement::Placed y;
  oracle::Batch y_values;
  double slope = 0;

  Case(inputs::Source source, Layout layout, const shapes::Extents& shape, halnorm::DType dtype,
       double mean)
      : AddedProblem(source, layout, shape, dtype, mean), y(layout, shape, dtype) {
    std::vector<double> values = addend_values.values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = i % 3 == 0 ? 0.0 : values[i];
    }
    y.assign(values);
    y_values = y.batch();
  }
};

class FusedBackward : public KernelTest {
 protected:
  [[nodiscard]] Case problem(const shapes::Extents& extents, double mean) const {
    return {source(extents), layout(), extents, dtype(), mean};
  }

  static F::BatchNormFusedBackward train(Case& p, const Tensor& out) {
    const auto saved = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps);
    return F::batch_norm_fused_backward(p.dy.tensor(), p.x.tensor(), p.y.tensor(), p.weight,
                                        saved.mean, saved.invstd, out, p.slope);
  }
  static F::BatchNormFusedBackward infer(Case& p, const Tensor& out) {
    return F::batch_norm_fused_backward_infer(p.dy.tensor(), p.x.tensor(), p.y.tensor(), p.weight,
                                              p.running_mean, p.running_var, eps, out, p.slope);
  }

  /// A result's values in (N, C, L) order.
  [[nodiscard]] std::vector<double> in_order(const Tensor& t,
                                             const shapes::Extents& extents) const {
    placement::Placed placed(placement::for_output(layout()), extents, dtype());
    placed.tensor().copy_(t);
    return placed.batch().values;
  }

  /// The gradient through relu, rounded to the data's dtype.
  [[nodiscard]] oracle::Batch passed(const Case& p) const {
    oracle::Batch dy = fused::rectified(p.dy_values, p.y_values, p.slope);
    for (double& value : dy.values) {
      value = source(p.extents).rounded(value);
    }
    return dy;
  }

  void expect_gradients(const Case& p, const oracle::Batch& dx,
                        const F::BatchNormFusedBackward& got, const oracle::Gradients& truth,
                        const oracle::Values& mean, const oracle::Values& invstd) const {
    const oracle::Batch dy = passed(p);
    const auto allowed = tolerance::gradients(dtype(), dy, p.x_values, mean, invstd, p.w(), truth);
    expect_near(dx.values, truth.dx, allowed.dx, "dx", dtype());
    expect_near(inputs::doubles(got.dweight), truth.dweight, allowed.dweight, "dweight");
    expect_near(inputs::doubles(got.dbias), truth.dbias, allowed.dbias, "dbias");
    EXPECT_EQ(in_order(got.daddend, p.extents), dy.values) << "daddend is exact";
    EXPECT_EQ(got.dweight.dtype(), element::of_parameters(dtype()));
  }

  void expect_trained(const Case& p, const oracle::Batch& dx,
                      const F::BatchNormFusedBackward& got) const {
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Batch dy = passed(p);
    expect_gradients(p, dx, got, oracle::backward(dy, p.x_values, batch, p.w(), eps), batch.mean,
                     batch.invstd(eps));
  }
  void expect_inferred(const Case& p, const oracle::Batch& dx,
                       const F::BatchNormFusedBackward& got) const {
    const oracle::Running running = p.running();
    const oracle::Batch dy = passed(p);
    expect_gradients(p, dx, got, oracle::backward_infer(dy, p.x_values, running, p.w(), eps),
                     running.mean, oracle::invstd_of(running.variance, eps));
  }
};

class FusedBackwardInPlace : public FusedBackward {};
class FusedBackwardDense : public FusedBackward {};

}  // namespace

TEST_P(FusedBackward, MatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4, 1e6}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Case p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const auto got = train(p, out);
      expect_kernel("batch_norm_backward", extents);
      EXPECT_TRUE(got.dx.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      expect_trained(p, p.out.batch(), got);
    }
  }
}

TEST_P(FusedBackward, OfInferenceMatchesTheFormulas) {
  for (const shapes::Extents& extents : shapes::trainable()) {
    for (const double mean : each_of<double>({0.0, 1e4}, extents)) {
      SCOPED_TRACE(describe(extents) + ", mean " + std::to_string(mean));
      Case p = problem(extents, mean);
      Tensor out = p.out.tensor();
      const auto got = infer(p, out);
      expect_kernel("batch_norm_backward_infer", extents);
      EXPECT_TRUE(got.dx.is_same(out));
      EXPECT_TRUE(p.out.surroundings_intact());
      expect_inferred(p, p.out.batch(), got);
    }
  }
}

TEST_P(FusedBackward, ASlopeLetsAPartThrough) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const double slope : each_of<double>({0.125, 0.25, 1.0}, extents)) {
      SCOPED_TRACE(describe(extents) + ", slope " + std::to_string(slope));
      Case p = problem(extents, 1e2);
      p.slope = slope;
      const auto got = train(p, p.out.tensor());
      expect_trained(p, p.out.batch(), got);
      const auto of_infer = infer(p, p.out.tensor());
      expect_inferred(p, p.out.batch(), of_infer);
    }
  }
}

TEST_P(FusedBackwardInPlace, MayOverwriteDy) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    Case p = problem(extents, 1e2);
    const auto got = train(p, p.dy.tensor());
    EXPECT_TRUE(p.dy.surroundings_intact());
    expect_trained(p, p.dy.batch(), got);

    p.dy.assign(p.dy_values.values);
    const auto of_infer = infer(p, p.dy.tensor());
    EXPECT_TRUE(p.dy.surroundings_intact());
    expect_inferred(p, p.dy.batch(), of_infer);
  }
}

TEST_P(FusedBackwardInPlace, OfHugeValuesIsRight) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const double scale : inputs::huge_scales(dtype())) {
      SCOPED_TRACE(describe(extents) + ", scale " + std::to_string(std::log10(scale)));
      Case p = problem(extents, 0.0);
      std::vector<double> values = p.x_values.values;
      for (double& value : values) {
        value = source(extents).rounded(value * scale);
      }
      p.set_x(values);
      const auto got = train(p, p.dy.tensor());
      expect_trained(p, p.dy.batch(), got);
    }
  }
}

TEST_P(FusedBackward, DyAndYMayHaveAnotherLayout) {
  for (const shapes::Extents& extents : shapes::small()) {
    for (const Layout other : placement::all_layouts()) {
      if ((other == Layout::Nc) != (layout() == Layout::Nc)) {
        continue;  // another rank
      }
      SCOPED_TRACE(describe(extents) + ", dy and y " + placement::name_of(other));
      Case p = problem(extents, 1e2);
      p.dy = placement::Placed(other, extents, dtype());
      p.dy.assign(p.dy_values.values);
      p.dy_values = p.dy.batch();
      p.y = placement::Placed(other, extents, dtype());
      p.y.assign(p.y_values.values);
      p.y_values = p.y.batch();
      const auto got = train(p, p.out.tensor());  // before out is read, as arguments have no order
      expect_trained(p, p.out.batch(), got);
      const auto of_infer = infer(p, p.out.tensor());
      expect_inferred(p, p.out.batch(), of_infer);
    }
  }
}

TEST_P(FusedBackward, WithoutAWeightItIsOne) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(describe(extents));
    Case p = problem(extents, 0.0);
    p.layer.weight.assign(static_cast<std::size_t>(extents.c), 1.0);
    p.weight = Tensor();
    const auto got = train(p, p.out.tensor());
    expect_trained(p, p.out.batch(), got);
    const auto of_infer = infer(p, p.out.tensor());
    expect_inferred(p, p.out.batch(), of_infer);
  }
}

TEST_P(FusedBackwardDense, NanOfYPassesAndNanOfDyIsMasked) {
  const shapes::Extents extents{3, 17, 33, "odd in every direction"};
  SCOPED_TRACE(describe(extents));
  Case p = problem(extents, 0.0);
  const std::size_t passed = p.x_values.index(1, 5, 7);
  const std::size_t masked = p.x_values.index(2, 6, 32);
  p.y_values.values[passed] = std::nan("");
  p.y_values.values[masked] = 0;
  p.y.assign(p.y_values.values);
  std::vector<double> dy = p.dy_values.values;
  dy[masked] = std::nan("");
  p.dy.assign(dy);
  // A NaN of y passes dy, as in the oracle; a NaN of dy has no effect if it is masked.
  p.dy_values.values[masked] = 1;
  const auto got = train(p, p.out.tensor());
  expect_trained(p, p.out.batch(), got);
  EXPECT_EQ(in_order(got.daddend, extents)[passed], dy[passed]);
  EXPECT_EQ(in_order(got.daddend, extents)[masked], 0.0);
}

TEST_P(FusedBackwardDense, MatchesFiniteDifferences) {
  const shapes::Extents extents{3, 4, 5, "small enough for differences in every element"};
  SCOPED_TRACE(describe(extents));
  Case p = problem(extents, 0.0);
  // The sums are about +-1, far from 0: relu has no derivative at 0.
  const oracle::Values normalized = oracle::train(p.x_values, p.w(), p.b(), eps);
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const double wanted = i % 2 == 0 ? 1.0 : -1.0;
    p.addend_values.values[i] =
        source(extents).rounded(wanted - static_cast<double>(normalized[i]));
  }
  p.addend.assign(p.addend_values.values);
  const auto saved = F::batch_norm_fused_train(p.x.tensor(), p.addend.tensor(), p.weight, p.bias,
                                               eps, p.y.tensor());
  p.y_values = p.y.batch();
  const auto got = F::batch_norm_fused_backward(p.dy.tensor(), p.x.tensor(), p.y.tensor(), p.weight,
                                                saved.mean, saved.invstd, p.out.tensor());
  const auto loss = [&](const oracle::Batch& x, const oracle::Batch& addend) {
    const oracle::Values y = fused::add_relu(oracle::train(x, p.w(), p.b(), eps), addend);
    oracle::Real sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += p.dy_values.values[i] * y[i];
    }
    return sum;
  };
  const auto differences = [&](oracle::Batch& moved, const auto& function) {
    constexpr double step = 0x1p-17;
    oracle::Values slopes;
    for (double& value : moved.values) {
      const double kept = value;
      value = kept + step;
      const oracle::Real above = function();
      value = kept - step;
      slopes.push_back((above - function()) / (2 * oracle::Real{step}));
      value = kept;
    }
    return slopes;
  };
  oracle::Batch x = p.x_values;
  oracle::Batch addend = p.addend_values;
  const auto loss_of_both = [&] { return loss(x, addend); };
  const oracle::Values by_x = differences(x, loss_of_both);
  const oracle::Values by_addend = differences(addend, loss_of_both);
  // The differences' own error is about step^2 = 6e-11 times a third derivative of 10 to 100.
  const double allowed = tolerance::relative(dtype()) * 3 + 1e-8;
  expect_near(p.out.batch().values, by_x, std::max(1.0, largest(by_x)) * allowed, "dx", dtype());
  expect_near(in_order(got.daddend, extents), by_addend,
              std::max(1.0, largest(by_addend)) * allowed, "daddend");
}

TEST_P(FusedBackwardDense, AnEmptyBatchGivesZeros) {
  for (const shapes::Extents& extents : shapes::without_values()) {
    SCOPED_TRACE(describe(extents));
    Case p = problem(extents, 0.0);
    for (const auto& got : {train(p, Tensor()), infer(p, Tensor())}) {
      EXPECT_EQ(got.dx.shape(), p.x.tensor().shape());
      EXPECT_EQ(got.daddend.shape(), p.x.tensor().shape());
      const std::vector<double> zeros(static_cast<std::size_t>(extents.c), 0.0);
      EXPECT_EQ(inputs::doubles(got.dweight), zeros);
      EXPECT_EQ(inputs::doubles(got.dbias), zeros);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, FusedBackward, ::testing::ValuesIn(every_case()), name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, FusedBackwardInPlace, ::testing::ValuesIn(writable_cases()),
                         name_of_param);
INSTANTIATE_TEST_SUITE_P(Kernels, FusedBackwardDense, ::testing::ValuesIn(dense_cases()),
                         name_of_param);
