#include "device/on_device.h"
#include "support/cases/element.h"
#include "support/fused.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using on_device::Forms;

namespace {

constexpr double eps = 1e-5;
constexpr double factor = 0.25;  // of the batch in running statistics

class DeviceForward : public on_device::Test {
 protected:
  void expect_y(const Problem& p, const oracle::Batch& got, const oracle::Values& truth,
                const oracle::Values& mean, const oracle::Values& invstd) const {
    expect_near(got.values, truth, tolerance::normalized(dtype(), truth, mean, invstd, p.w()), "y",
                dtype());
  }

  void expect_trained(Problem& p, const F::BatchNormForward& got) const {
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    p.out.tensor().copy_(got.y);
    expect_y(p, p.out.batch(), oracle::train(p.x_values, p.w(), p.b(), eps), batch.mean,
             batch.invstd(eps));
    // The sums are double, of values that are exact in double.
    expect_near(got.mean.to_vector<double>(), batch.mean, 1e-13 * (1 + largest(batch.mean)),
                "mean");
    expect_near(got.invstd.to_vector<double>(), batch.invstd(eps),
                1e-9 * largest(batch.invstd(eps)), "invstd");
  }

  void expect_updated(const oracle::Running& before, const oracle::Statistics& batch,
                      const Tensor& mean, const Tensor& var) const {
    const oracle::Running running = oracle::updated(before, batch, factor);
    const double u = 4 * element::roundoff(element::of_parameters(dtype()));
    expect_near(mean.to_vector<double>(), running.mean, u * largest(running.mean), "running_mean");
    expect_near(var.to_vector<double>(), running.variance, u * largest(running.variance),
                "running_var");
  }

  /// Checks that the update took no separate kernel.
  static void expect_ran(const std::string& operation) {
    EXPECT_TRUE(halnorm::last_kernel().starts_with("halnorm_" + operation))
        << halnorm::last_kernel();
  }
};

}  // namespace

TEST_P(DeviceForward, TrainMatchesTheFormulasAroundAnyMean) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    for (const double mean : means()) {
      SCOPED_TRACE(extents.str() + ": " + extents.reason + ", mean " + std::to_string(mean));
      Problem p = problem(extents, mean);
      const auto got =
          F::batch_norm_train(there(p.x.tensor()), there(p.weight), there(p.bias), eps);
      expect_ran_there();
      EXPECT_EQ(got.y.device(), device());
      EXPECT_EQ(got.mean.device(), device());
      expect_trained(p, got);
    }
  }
}

TEST_P(DeviceForward, TrainMayOverwriteX) {
  for (const shapes::Extents& extents : shapes::small()) {
    SCOPED_TRACE(extents.str());
    Problem p = problem(extents, 1e2);
    const Tensor x = there(p.x.tensor());
    const auto got = F::batch_norm_train(x, there(p.weight), there(p.bias), eps, x);
    EXPECT_TRUE(got.y.is_same(x));
    expect_trained(p, got);
  }
}

TEST_P(DeviceForward, InferMatchesTheFormulas) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes())) {
    SCOPED_TRACE(extents.str() + ": " + extents.reason);
    Problem p = problem(extents, 1e2);
    const Tensor y = F::batch_norm_infer(there(p.x.tensor()), there(p.running_mean),
                                         there(p.running_var), there(p.weight), there(p.bias), eps);
    expect_ran_there();
    p.out.tensor().copy_(y);
    const oracle::Running running = p.running();
    expect_y(p, p.out.batch(), oracle::infer(p.x_values, running, p.w(), p.b(), eps),
             oracle::Values(running.mean.size(), 0), oracle::invstd_of(running.variance, eps));
  }
}

TEST_P(DeviceForward, WithoutWeightAndBiasTheyAreOneAndZero) {
  Problem p = problem({5, 7, 11}, 3);
  const std::vector<double> ones(7, 1);
  const std::vector<double> zeros(7, 0);
  const auto got = F::batch_norm_train(there(p.x.tensor()), {}, {}, eps);
  p.layer.weight = ones;
  p.layer.bias = zeros;
  expect_trained(p, got);
}

TEST_P(DeviceForward, MomentsElemtAndUpdateMakeUpATrainingPass) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes())) {
    SCOPED_TRACE(extents.str());
    Problem p = problem(extents, 1e3);
    const Tensor x = there(p.x.tensor());
    const F::Moments m = F::batch_norm_moments(x);
    const oracle::Statistics truth = oracle::statistics(p.x_values);
    expect_near(m.mean.to_vector<double>(), truth.mean, 1e-13 * (1 + largest(truth.mean)), "mean");
    expect_near(m.m2.to_vector<double>(), truth.m2, 1e-9 * largest(truth.m2), "m2");

    const Tensor mean = there(p.running_mean);
    const Tensor var = there(p.running_var);
    F::update_running_stats(mean, var, m, factor);
    expect_updated(p.running(), truth, mean, var);

    std::vector<double> invstd;
    for (const oracle::Real r : truth.invstd(eps)) {
      invstd.push_back(static_cast<double>(r));
    }
    const Tensor y = F::batch_norm_elemt(x, there(p.weight), there(p.bias), m.mean,
                                         there(inputs::channels(invstd, DType::Float64)));
    p.out.tensor().copy_(y);
    expect_y(p, p.out.batch(), oracle::train(p.x_values, p.w(), p.b(), eps), truth.mean,
             truth.invstd(eps));
  }
}

TEST_P(DeviceForward, TrainUpdatesRunningStatisticsOnTheWay) {
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    SCOPED_TRACE(extents.str());
    Problem p = problem(extents, 1e2);
    const Tensor mean = there(p.running_mean);
    const Tensor var = there(p.running_var);
    const auto got = F::batch_norm_train_update(there(p.x.tensor()), mean, var, there(p.weight),
                                                there(p.bias), factor, eps);
    expect_ran_there();
    expect_ran("batch_norm_train_with_running_stats");
    expect_trained(p, got);
    expect_updated(p.running(), oracle::statistics(p.x_values), mean, var);
  }
}

TEST_P(DeviceForward, AnInputMayBeRunningStatisticsThatAreUpdated) {
  Problem p = problem({40, 3, 7}, 1);
  const Tensor mean = there(p.running_mean);
  const Tensor var = there(p.running_var);
  const Tensor x = there(p.x.tensor());
  p.layer.weight = p.layer.running_var;
  p.layer.bias = p.layer.running_mean;
  expect_trained(p, F::batch_norm_train_update(x, mean, var, var, mean, factor, eps));
  expect_ran("update_running_stats");
  expect_updated(p.running(), oracle::statistics(p.x_values), mean, var);
}

TEST_P(DeviceForward, RunningStatisticsMayHaveGapsOrAnotherDtype) {
  Problem p = problem({40, 3, 7}, 1);
  const Tensor x = there(p.x.tensor());
  const oracle::Statistics batch = oracle::statistics(p.x_values);
  const auto update = [&](const Tensor& mean, const Tensor& var) {
    expect_trained(
        p, F::batch_norm_train_update(x, mean, var, there(p.weight), there(p.bias), factor, eps));
    expect_updated(p.running(), batch, mean, var);
  };
  update(there(p.running_mean.to(DType::Float64)), there(p.running_var.to(DType::Float64)));
  const auto every_second = [&](const Tensor& values) {
    const Tensor apart = Tensor::zeros({3, 2}, values.dtype(), device()).transpose(0, 1);
    Tensor column = apart.narrow(0, 0, 1).reshape({3});
    column.copy_(values);
    return column;
  };
  const Tensor mean = every_second(p.running_mean);
  ASSERT_EQ(mean.strides()[0], 2);
  update(mean, every_second(p.running_var));
}

TEST_P(DeviceForward, FusedAddsAndRectifies) {
  constexpr double slope = 0.25;
  for (const shapes::Extents& extents : unless_few(on_device::all_shapes(), Forms::two)) {
    SCOPED_TRACE(extents.str());
    fused::AddedProblem p(inputs::Source(7, dtype()), GetParam().layout, extents, dtype(), 1e2);
    const auto trained = F::batch_norm_fused_train(there(p.x.tensor()), there(p.addend.tensor()),
                                                   there(p.weight), there(p.bias), eps, {}, slope);
    expect_ran_there();
    p.out.tensor().copy_(trained.y);
    fused::expect_trained(p, dtype(), p.out.batch(), eps, slope);
    const Tensor mean = there(p.running_mean);
    const Tensor var = there(p.running_var);
    const auto updated =
        F::batch_norm_fused_train_update(there(p.x.tensor()), there(p.addend.tensor()), mean, var,
                                         there(p.weight), there(p.bias), factor, eps, {}, slope);
    expect_ran("batch_norm_fused_train_with_running_stats");
    EXPECT_TRUE(same_bits(updated.y.to_vector<double>(), trained.y.to_vector<double>()));
    expect_updated(p.running(), oracle::statistics(p.x_values), mean, var);
    const Tensor inferred = F::batch_norm_fused_infer(
        there(p.x.tensor()), there(p.addend.tensor()), there(p.running_mean), there(p.running_var),
        there(p.weight), there(p.bias), eps, {}, slope);
    p.out.tensor().copy_(inferred);
    fused::expect_inferred(p, dtype(), p.out.batch(), eps, slope);
  }
}

TEST_P(DeviceForward, FusedWithoutAnAddendRectifies) {
  // One channel without gaps is processed as a row, and few rows of many channels along the
  // channels.
  for (const shapes::Extents& extents : unless_few({{6, 5, 40}, {300, 1, 1}, {3, 5000, 1}})) {
    SCOPED_TRACE(extents.str());
    fused::AddedProblem p(inputs::Source(7, dtype()), GetParam().layout, extents, dtype(), 1);
    p.addend_values.values.assign(p.addend_values.values.size(), 0);
    const Tensor x = there(p.x.tensor());
    const Tensor weight = there(p.weight);
    const Tensor bias = there(p.bias);
    p.out.tensor().copy_(F::batch_norm_fused_train(x, {}, weight, bias, eps).y);
    fused::expect_trained(p, dtype(), p.out.batch(), eps);
    p.out.tensor().copy_(F::batch_norm_fused_infer(x, {}, there(p.running_mean),
                                                   there(p.running_var), weight, bias, eps));
    fused::expect_inferred(p, dtype(), p.out.batch(), eps);
  }
}

TEST_P(DeviceForward, HugeValuesDoNotOverflow) {
  if (dtype() == DType::Float16) {
    GTEST_SKIP() << "float16 has no values whose squares leave float32's range";
  }
  const double scale = dtype() == DType::Float64 ? 1e100 : 1e30;
  Problem p = problem({30, 3, 40}, 0);
  std::vector<double> huge = p.x_values.values;
  for (double& value : huge) {
    value = inputs::Source(0, dtype()).rounded(value * scale);
  }
  p.set_x(huge);
  expect_trained(p, F::batch_norm_train(there(p.x.tensor()), there(p.weight), there(p.bias), eps));
}

TEST_P(DeviceForward, TheSameBitsOnEveryRun) {
  Problem p = problem({300, 70, 9}, 1);
  const Tensor x = there(p.x.tensor());
  const auto first = F::batch_norm_train(x, {}, {}, eps);
  for (int run = 0; run < 10; ++run) {
    const auto again = F::batch_norm_train(x, {}, {}, eps);
    ASSERT_TRUE(same_bits(first.y.to_vector<double>(), again.y.to_vector<double>()));
    ASSERT_TRUE(same_bits(first.invstd.to_vector<double>(), again.invstd.to_vector<double>()));
  }
}

TEST_P(DeviceForward, AnEmptyBatchGivesAnEmptyResultThere) {
  const auto got = F::batch_norm_train(Tensor::empty({0, 5, 3}, dtype(), device()), {}, {}, eps);
  EXPECT_EQ(got.y.device(), device());
  EXPECT_EQ(got.y.shape(), (halnorm::Shape{0, 5, 3}));
  EXPECT_EQ(got.mean.to_vector<double>(), std::vector<double>(5, 0));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceForward);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceForward, ::testing::ValuesIn(on_device::cases()),
                         on_device::name_of_param);
