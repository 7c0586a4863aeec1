#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "device/on_device.h"
#include "support/cases/element.h"
#include "support/fused.h"
#include "support/kernel_test.h"
#include "support/throws.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using on_device::Forms;

namespace {

constexpr double eps = 1e-5;
constexpr double inf = std::numeric_limits<double>::infinity();

class DeviceBackward : public on_device::Test {
 protected:
  /// (values, 2): two equal channels, on the host.
  [[nodiscard]] Tensor rows_of_two(const std::vector<double>& values) const {
    std::vector<double> twice;
    for (const double value : values) {
      twice.insert(twice.end(), 2, value);
    }
    return Tensor::from<double>(twice, {static_cast<std::int64_t>(values.size()), 2}).to(dtype());
  }

  void expect_gradients(Problem& p, const F::BatchNormBackward& got, const oracle::Gradients& truth,
                        const oracle::Values& mean, const oracle::Values& invstd) const {
    const auto allowed =
        tolerance::gradients(dtype(), p.dy_values, p.x_values, mean, invstd, p.w(), truth);
    p.out.tensor().copy_(got.dx);
    expect_near(p.out.batch().values, truth.dx, allowed.dx, "dx", dtype());
    expect_near(got.dweight.to_vector<double>(), truth.dweight, allowed.dweight, "dweight");
    expect_near(got.dbias.to_vector<double>(), truth.dbias, allowed.dbias, "dbias");
    EXPECT_EQ(got.dx.device(), device());
    EXPECT_EQ(got.dweight.device(), device());
    EXPECT_EQ(got.dweight.dtype(), element::of_parameters(dtype()));
  }

  void expect_trained(Problem& p, const F::BatchNormBackward& got) const {
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    expect_gradients(p, got, oracle::backward(p.dy_values, p.x_values, p.w(), eps), batch.mean,
                     batch.invstd(eps));
  }

  /// Gives a layer on the device the problem's weight and bias, and its running statistics as
  /// gradients.
  void set_up(halnorm::nn::BatchNorm& layer, const Problem& p) const {
    layer.to(device(), element::of_parameters(dtype()));
    layer.weight.data().copy_(p.weight);
    layer.bias.data().copy_(p.bias);
    layer.weight.set_grad(there(p.running_mean));
    layer.bias.set_grad(there(p.running_var));
  }

  /// The layer's gradients are the sums of the old ones and these, and no kernel ran for the
  /// addition.
  void expect_added(Problem& p, const halnorm::nn::BatchNorm& layer, const Tensor& dx) const {
    EXPECT_TRUE(halnorm::last_kernel().find("backward_accumulate") != std::string::npos)
        << halnorm::last_kernel();
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    oracle::Gradients truth = oracle::backward(p.dy_values, p.x_values, p.w(), eps);
    const oracle::Running before = p.running();
    for (std::size_t c = 0; c < before.mean.size(); ++c) {
      truth.dweight[c] += before.mean[c];
      truth.dbias[c] += before.variance[c];
    }
    expect_gradients(p, {dx, layer.weight.grad(), layer.bias.grad()}, truth, batch.mean,
                     batch.invstd(eps));
  }

  void expect_inferred(Problem& p, const F::BatchNormBackward& got) const {
    const oracle::Running running = p.running();
    expect_gradients(p, got, oracle::backward_infer(p.dy_values, p.x_values, running, p.w(), eps),
                     running.mean, oracle::invstd_of(running.variance, eps));
  }
};

}  // namespace

TEST_P(DeviceBackward, MatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    for (const double mean : means()) {
      SCOPED_TRACE(extents.str() + ": " + extents.reason + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      const Tensor x = there(p.x.tensor());
      const auto saved = F::batch_norm_train(x, there(p.weight), there(p.bias), eps);
      expect_trained(p, F::batch_norm_backward(there(p.dy.tensor()), x, there(p.weight), saved.mean,
                                               saved.invstd));
      expect_ran_there();
    }
  }
}

TEST_P(DeviceBackward, GradientsAreAddedToThoseThatAreThere) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    SCOPED_TRACE(extents.str() + ": " + extents.reason);
    Problem p = problem(extents, 1e2);
    halnorm::nn::BatchNorm1d layer(p.extents.c);
    set_up(layer, p);
    layer(there(p.x.tensor()));
    expect_added(p, layer, layer.backward(there(p.dy.tensor())));
  }
}

TEST_P(DeviceBackward, SoAreFusedOnes) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    SCOPED_TRACE(extents.str() + ": " + extents.reason);
    fused::AddedProblem p(inputs::Source(7, dtype()), GetParam().layout, extents, dtype(), 1e2);
    halnorm::nn::FusedBatchNorm1d layer(p.extents.c);
    set_up(layer, p);
    const Tensor dy = there(p.dy.tensor());
    p.out.tensor().copy_(layer(there(p.x.tensor()), there(p.addend.tensor())));
    p.dy_values = fused::rectified(p.dy_values, p.out.batch());
    expect_added(p, layer, layer.backward(dy));
  }
}

TEST_P(DeviceBackward, AGradientThatTheWeightLiesInIsRefused) {
  Problem p = problem({40, 3, 7}, 1);
  halnorm::nn::BatchNorm1d layer(p.extents.c);
  set_up(layer, p);
  layer.weight.set_grad(layer.weight.data());
  const std::vector<double> before = layer.weight.data().to_vector<double>();
  layer(there(p.x.tensor()));
  expect_throws<halnorm::ShapeError>([&] { layer.backward(there(p.dy.tensor())); },
                                     {"BatchNorm1d.backward", "weight.grad overlaps weight"});
  EXPECT_EQ(layer.weight.data().to_vector<double>(), before);
}

TEST_P(DeviceBackward, OfInferenceMatchesTheFormulas) {
  for (const shapes::Extents& extents : unless_few(shapes::trainable())) {
    SCOPED_TRACE(extents.str() + ": " + extents.reason);
    Problem p = problem(extents, 1e2);
    expect_inferred(
        p, F::batch_norm_backward_infer(there(p.dy.tensor()), there(p.x.tensor()), there(p.weight),
                                        there(p.running_mean), there(p.running_var), eps));
  }
}

TEST_P(DeviceBackward, MayOverwriteDy) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(extents.str());
    Problem p = problem(extents, 1e2);
    const Tensor x = there(p.x.tensor());
    const auto saved = F::batch_norm_train(x, there(p.weight), there(p.bias), eps);
    Tensor dy = there(p.dy.tensor());
    expect_trained(p, F::batch_norm_backward(dy, x, there(p.weight), saved.mean, saved.invstd, dy));
    dy = there(p.dy.tensor());
    expect_inferred(p, F::batch_norm_backward_infer(dy, x, there(p.weight), there(p.running_mean),
                                                    there(p.running_var), eps, dy));
  }
}

TEST_P(DeviceBackward, ReduceAndElemtMakeUpABackward) {
  for (const shapes::Extents& extents : unless_few(shapes::trainable())) {
    SCOPED_TRACE(extents.str());
    Problem p = problem(extents, 1e2);
    const Tensor x = there(p.x.tensor());
    const Tensor dy = there(p.dy.tensor());
    const auto saved = F::batch_norm_train(x, {}, {}, eps);
    const auto sums =
        F::batch_norm_backward_reduce(dy, x, saved.mean, saved.invstd, there(p.weight));
    const Tensor count =
        Tensor::full({}, static_cast<double>(extents.n * extents.l), DType::Float64);
    const Tensor dx = F::batch_norm_backward_elemt(dy, x, saved.mean, saved.invstd, there(p.weight),
                                                   sums.sum_dy, sums.sum_dy_xmu, count);
    expect_trained(p, {dx, sums.dweight, sums.dbias});
  }
}

TEST_P(DeviceBackward, FusedIsTheBackwardOfWhatPasses) {
  constexpr double slope = 0.25;
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    SCOPED_TRACE(extents.str());
    fused::AddedProblem p(inputs::Source(7, dtype()), GetParam().layout, extents, dtype(), 1e2);
    const Tensor x = there(p.x.tensor());
    const auto forward = F::batch_norm_fused_train(x, there(p.addend.tensor()), there(p.weight),
                                                   there(p.bias), eps, {}, slope);
    p.out.tensor().copy_(forward.y);
    p.dy_values = fused::rectified(p.dy_values, p.out.batch(), slope);
    for (double& value : p.dy_values.values) {  // rounded as float16 rounds subnormal values
      value = inputs::Source(7, dtype()).rounded(value);
    }
    const auto got =
        F::batch_norm_fused_backward(there(p.dy.tensor()), x, forward.y, there(p.weight),
                                     forward.mean, forward.invstd, {}, slope);
    expect_trained(p, {got.dx, got.dweight, got.dbias});
    p.out.tensor().copy_(got.daddend);
    EXPECT_EQ(p.out.batch().values, p.dy_values.values);
    const auto fixed = F::batch_norm_fused_backward_infer(there(p.dy.tensor()), x, forward.y,
                                                          there(p.weight), there(p.running_mean),
                                                          there(p.running_var), eps, {}, slope);
    expect_inferred(p, {fixed.dx, fixed.dweight, fixed.dbias});
  }
}

TEST_P(DeviceBackward, GradientsBesideFloat64StatisticsAreOfTheDatasParameters) {
  const Tensor x = there(Tensor::randn({9, 3}, 1, dtype()));
  const Tensor mean = Tensor::zeros({3}, DType::Float64, device());
  const Tensor var = Tensor::ones({3}, DType::Float64, device());
  const auto plain = F::batch_norm_backward_infer(x, x, {}, mean, var, eps);
  const auto fused = F::batch_norm_fused_backward_infer(x, x, x, {}, mean, var, eps);
  for (const Tensor& gradient : {plain.dweight, plain.dbias, fused.dweight, fused.dbias}) {
    EXPECT_EQ(gradient.dtype(), element::of_parameters(dtype()));
    EXPECT_EQ(gradient.device(), device());
  }
}

TEST_P(DeviceBackward, SumsOverNoValuesAreNotLookedAt) {
  const Tensor x = there(rows_of_two({1, -3}));
  const Tensor mean = Tensor::zeros({2}, DType::Float64, device());
  const Tensor sum = Tensor::full({2}, std::nan(""), DType::Float64, device());
  const Tensor two = Tensor::full({2}, 2, DType::Float64, device());
  const Tensor dx = F::batch_norm_backward_elemt(x, x, mean, two, {}, sum, sum,
                                                 Tensor::zeros({}, DType::Float64));
  EXPECT_EQ(dx.to_vector<double>(), (std::vector<double>{2, 2, -6, -6}));
}

// Sums are float64, and gradients of float32 parameters float32: beyond its range they are
// infinite, as they are on the CPU.
TEST_P(DeviceBackward, GradientsBeyondFloat32AreInfinite) {
  if (dtype() == DType::Float16 || dtype() == DType::Float64) {
    GTEST_SKIP() << "sums of this dtype do not leave the range of their parameters";
  }
  const Tensor mean = Tensor::zeros({2}, DType::Float64, device());
  const Tensor invstd = Tensor::ones({2}, DType::Float64, device());
  for (const double large : {3e38, -3e38}) {
    const double limit = large * inf;
    const Tensor x = there(rows_of_two({1, -1, 1, -1}));
    const Tensor all_large = there(rows_of_two({large, large, large, large}));
    const Tensor along_x = there(rows_of_two({large, -large, large, -large}));
    const auto sums = F::batch_norm_backward_reduce(all_large, x, mean, invstd, {});
    EXPECT_EQ(sums.dbias.to_vector<double>(), (std::vector<double>{limit, limit}));
    EXPECT_EQ(sums.dweight.to_vector<double>(), (std::vector<double>{0, 0}));
    const auto got = F::batch_norm_backward(along_x, x, {}, mean, invstd);
    EXPECT_EQ(got.dweight.to_vector<double>(), (std::vector<double>{limit, limit}));
    EXPECT_EQ(got.dbias.to_vector<double>(), (std::vector<double>{0, 0}));
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceBackward);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceBackward, ::testing::ValuesIn(on_device::cases()),
                         on_device::name_of_param);
