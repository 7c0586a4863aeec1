#include "halnorm/nn/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <ostream>
#include <vector>

#include "nn/fixture.h"
#include "support/cases/inputs.h"
#include "support/kernel_test.h"
#include "support/oracle.h"

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::BatchNormOptions;
using Doubles = std::vector<double>;

namespace {

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();

/// A float32 result of values around 1: a few roundings.
constexpr double tolerance = 1e-5;

/// A layer whose parameters and statistics are not the initial ones, and these values.
struct Case {
  explicit Case(const BatchNormOptions& options, std::int64_t l)
      : extents{.n = 8, .c = 5, .l = l},
        source(42, DType::Float32),
        layer(source, extents.c, 2.0),
        module(extents.c, options) {
    if (module.weight.defined()) {
      module.weight = Parameter(inputs::channels(layer.weight, DType::Float32));
      module.bias = Parameter(inputs::channels(layer.bias, DType::Float32));
    } else {
      layer.weight.assign(5, 1.0);
      layer.bias.assign(5, 0.0);
    }
    if (module.running_mean.defined()) {
      module.running_mean = inputs::channels(layer.running_mean, DType::Float32);
      module.running_var = inputs::channels(layer.running_var, DType::Float32);
    }
  }

  oracle::Batch batch(double mean) {
    return {extents.n, extents.c, extents.l, source.batch(extents, mean)};
  }

  [[nodiscard]] Tensor input(const oracle::Batch& batch) const {
    const halnorm::Shape shape = extents.l == 1 ? halnorm::Shape{extents.n, extents.c}
                                                : halnorm::Shape{extents.n, extents.c, extents.l};
    return Tensor::from(std::span<const double>(batch.values), shape).to(DType::Float32);
  }

  [[nodiscard]] oracle::Running running() const {
    return {inputs::real(values(module.running_mean)), inputs::real(values(module.running_var))};
  }

  shapes::Extents extents;
  inputs::Source source;
  inputs::Layer layer;
  BatchNorm1d module;
};

struct Mode {
  bool training, track, affine;
  std::optional<double> momentum;
  std::int64_t l;
};

/// Prints the mode instead of its bytes, some of which are padding.
void PrintTo(const Mode& mode, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << "training " << mode.training << ", track " << mode.track << ", affine " << mode.affine
       << ", momentum " << mode.momentum.value_or(NAN) << ", L " << mode.l;
}

class BatchNormModes : public ::testing::TestWithParam<Mode> {};

std::vector<Mode> all_modes() {
  std::vector<Mode> modes;
  for (const bool training : {true, false}) {
    for (const bool track : {true, false}) {
      for (const bool affine : {true, false}) {
        for (const std::optional<double> momentum : {std::optional(0.1), {}}) {
          for (const std::int64_t l : {1, 7}) {
            modes.push_back({training, track, affine, momentum, l});
          }
        }
      }
    }
  }
  return modes;
}

}  // namespace

/// Three batches, forward and backward, against the formulas in long double.
TEST_P(BatchNormModes, FollowsTheFormulas) {
  const Mode mode = GetParam();
  Case given({.momentum = mode.momentum, .affine = mode.affine, .track_running_stats = mode.track},
             mode.l);
  given.module.train(mode.training);
  const auto weight = inputs::real(given.layer.weight);
  const auto bias = inputs::real(given.layer.bias);
  const bool by_batch = mode.training || !mode.track;
  oracle::Values dweight(5, 0);
  for (int step = 1; step <= 3; ++step) {
    const oracle::Batch x = given.batch(2.0);
    const oracle::Batch dy = given.batch(0.0);
    std::optional<oracle::Running> running;
    if (mode.track) {
      running = given.running();
    }
    const Tensor y = given.module(given.input(x));
    const oracle::Values want = by_batch ? oracle::train(x, weight, bias, 1e-5)
                                         : oracle::infer(x, *running, weight, bias, 1e-5);
    expect_near(values(y), want, tolerance, "y");
    if (mode.track && mode.training) {
      running =
          oracle::updated(*running, oracle::statistics(x), mode.momentum.value_or(1.0 / step));
      EXPECT_EQ(given.module.num_batches_tracked.item<std::int64_t>(), step);
    }
    if (running) {
      expect_near(values(given.module.running_mean), running->mean, tolerance, "running_mean");
      expect_near(values(given.module.running_var), running->variance, tolerance, "running_var");
    }
    const oracle::Gradients gradients = by_batch
                                            ? oracle::backward(dy, x, weight, 1e-5)
                                            : oracle::backward_infer(dy, x, *running, weight, 1e-5);
    expect_near(values(given.module.backward(given.input(dy))), gradients.dx, tolerance, "dx");
    for (std::size_t c = 0; c < dweight.size(); ++c) {
      dweight[c] += gradients.dweight[c];
    }
  }
  if (mode.affine) {
    expect_near(values(given.module.weight.grad()), dweight, 20 * tolerance, "the sum of dweight");
  } else {
    EXPECT_TRUE(given.module.parameters().empty());
  }
}

INSTANTIATE_TEST_SUITE_P(All, BatchNormModes, ::testing::ValuesIn(all_modes()),
                         [](const auto& tested) {
                           const Mode& mode = tested.param;
                           return std::string(mode.training ? "train" : "eval") +
                                  (mode.track ? "_track" : "") + (mode.affine ? "_affine" : "") +
                                  (mode.momentum ? "_momentum" : "_average") + "_L" +
                                  std::to_string(mode.l);
                         });

TEST(BatchNorm1d, WorkedValues) {
  BatchNorm1d layer(2);
  const auto y = values(layer(tensor({1, 2, 3, 5}, {2, 2})));
  expect_near(y, {-1, -1, 1, 1}, 1e-4, "y");
  expect_near(values(layer.running_mean), {0.2L, 0.35L}, 1e-6, "running_mean");
  expect_near(values(layer.running_var), {1.1L, 1.35L}, 1e-6, "running_var");
}

TEST(BatchNorm1d, NoFeaturesGiveAnEmptyResult) {
  BatchNorm1d layer(0);
  EXPECT_EQ(layer(Tensor::empty({4, 0})).shape(), (halnorm::Shape{4, 0}));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
}

TEST(BatchNorm1d, WeightAloneAndBiasAlone) {
  BatchNorm1d layer(1, {.track_running_stats = false});
  const Tensor x = tensor({0, 2}, {2, 1});
  layer.weight = Parameter(tensor({3}));
  layer.bias = Parameter();
  expect_near(values(layer(x)), {-3, 3}, 1e-4, "weight alone");
  layer.backward(tensor({1, 2}, {2, 1}));
  expect_near(values(layer.weight.grad()), {1}, 1e-4, "dweight");
  layer.weight = Parameter();
  layer.bias = Parameter(tensor({5}));
  expect_near(values(layer(x)), {4, 6}, 1e-4, "bias alone");
  layer.backward(tensor({1, 2}, {2, 1}));
  EXPECT_EQ(values(layer.bias.grad()), Doubles{3});
}

TEST(BatchNorm1d, EmptyBatchLeavesStatisticsAlone) {
  BatchNorm1d layer(3);
  EXPECT_EQ(layer(Tensor::empty({0, 3})).shape(), (halnorm::Shape{0, 3}));
  EXPECT_EQ(values(layer.running_mean), (Doubles{0, 0, 0}));
  EXPECT_EQ(values(layer.running_var), (Doubles{1, 1, 1}));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_EQ(layer.backward(Tensor::empty({0, 3})).shape(), (halnorm::Shape{0, 3}));
  EXPECT_EQ(values(layer.weight.grad()), (Doubles{0, 0, 0}));
  EXPECT_EQ(values(layer.bias.grad()), (Doubles{0, 0, 0}));
  layer.eval();
  EXPECT_EQ(layer(Tensor::empty({2, 3, 0})).shape(), (halnorm::Shape{2, 3, 0}));
}

TEST(BatchNorm1d, OneValuePerChannelNeedsRunningStatistics) {
  BatchNorm1d layer(3);
  layer.eval();
  const Tensor x = tensor({1, 2, 3}, {1, 3});
  expect_near(values(layer(x)), {1, 2, 3}, 1e-4, "y");
}

TEST(BatchNorm1d, ANaNStaysInItsChannel) {
  BatchNorm1d layer(2);
  const auto y = values(layer(tensor({NAN, 0, 1, 2}, {2, 2})));
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[2]));
  expect_near({y[1], y[3]}, {-1, 1}, 1e-4, "the other channel");
}

TEST(BatchNorm1d, CounterStopsAtItsLargestValue) {
  BatchNorm1d layer(1);
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  *layer.num_batches_tracked.data<std::int64_t>() = most;
  layer(tensor({1, 2}, {2, 1}));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), most);
}

TEST(BatchNorm1d, WritesIntoAGivenTensor) {
  BatchNorm1d layer(2);
  Tensor x = tensor({1, 2, 3, 5}, {2, 2});
  Tensor out = Tensor::full({2, 2}, quiet_nan);
  const Tensor y = layer(x, out);
  EXPECT_TRUE(y.is_same(out));
  EXPECT_EQ(values(out), values(layer(x)));
  const Tensor dy = tensor({1, 0, 0, 2}, {2, 2});
  const auto dx = values(layer.backward(dy));
  layer.clear_saved_forwards();
  layer(x, x);
  EXPECT_EQ(values(x), values(out)) << "in place";
  EXPECT_EQ(values(layer.backward(dy)), dx) << "a copy of x was kept";
}
