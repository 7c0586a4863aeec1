#include "halnorm/nn/batch_norm.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <vector>

#include "nn/fixture.h"
#include "support/kernel_test.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Parameter;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::BatchNorm2d;
using halnorm::nn::BatchNorm3d;
using Doubles = std::vector<double>;

namespace {

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double tolerance = 1e-5;

/// The values that a failed call must not change.
struct State {
  explicit State(const BatchNorm1d& layer)
      : mean(values(layer.running_mean)),
        var(values(layer.running_var)),
        count(layer.num_batches_tracked.item<std::int64_t>()) {}
  Doubles mean, var;
  std::int64_t count;
  friend bool operator==(const State&, const State&) = default;
};

/// The call throws E, in training and then in eval unless `in_eval` is false, and nothing has
/// changed.
template <class E>
void expect_refused(BatchNorm1d& layer, const Tensor& x,
                    std::initializer_list<std::string_view> fragments, bool in_eval = true) {
  for (const bool training : {true, false}) {
    if (!training && !in_eval) {
      continue;
    }
    layer.train(training);
    const State before(layer);
    expect_throws<E>([&] { layer(x); }, fragments);
    EXPECT_TRUE(State(layer) == before);
  }
}

}  // namespace

TEST(BatchNorm1d, Construction) {
  const BatchNorm1d layer(3);
  EXPECT_EQ(values(layer.weight.data()), (Doubles{1, 1, 1}));
  EXPECT_EQ(values(layer.bias.data()), (Doubles{0, 0, 0}));
  EXPECT_TRUE(layer.weight.requires_grad());
  EXPECT_EQ(values(layer.running_mean), (Doubles{0, 0, 0}));
  EXPECT_EQ(values(layer.running_var), (Doubles{1, 1, 1}));
  EXPECT_EQ(layer.num_batches_tracked.shape(), halnorm::Shape{});
  EXPECT_EQ(layer.num_batches_tracked.dtype(), DType::Int64);
  EXPECT_TRUE(layer.is_training());
  EXPECT_EQ(layer.num_features(), 3);
  EXPECT_EQ(layer.eps(), 1e-5);
  EXPECT_EQ(layer.momentum(), 0.1);
  EXPECT_TRUE(layer.affine() && layer.track_running_stats());

  const BatchNorm1d bare(3, {.affine = false, .track_running_stats = false});
  EXPECT_FALSE(bare.weight.defined() || bare.bias.defined() || bare.running_mean.defined() ||
               bare.running_var.defined() || bare.num_batches_tracked.defined());
  EXPECT_TRUE(bare.has("weight") && bare.has("num_batches_tracked")) << "the names are reserved";
}

TEST(BatchNorm1d, RefusesBadArguments) {
  expect_throws<ValueError>([] { BatchNorm1d layer(-1); }, {"num_features", "-1"});
  for (const double eps : {-1.0, quiet_nan, infinity}) {
    expect_throws<ValueError>([eps] { BatchNorm1d layer(3, {.eps = eps}); },
                              {"BatchNorm1d", "eps"});
  }
  for (const double momentum : {quiet_nan, infinity}) {
    expect_throws<ValueError>([momentum] { BatchNorm1d layer(3, {.momentum = momentum}); },
                              {"BatchNorm1d", "momentum"});
  }
  BatchNorm1d layer(3, {.eps = 0, .momentum = 1.5});
  expect_throws<ValueError>([&] { layer.set_eps(-1); }, {"set_eps", "-1.0"});
  expect_throws<ValueError>([&] { layer.set_momentum(quiet_nan); }, {"set_momentum", "nan"});
  EXPECT_EQ(layer.eps(), 0);
  EXPECT_EQ(layer.momentum(), 1.5);
}

TEST(BatchNorm1d, AttributesHoldFromTheNextCall) {
  BatchNorm1d layer(1);
  const Tensor x = tensor({0, 2}, {2, 1});
  layer.set_eps(3);
  expect_near(values(layer(x)), {-0.5L, 0.5L}, 1e-6, "1 / sqrt(1 + 3)");
  layer.set_momentum(1.0);
  layer(x);
  EXPECT_EQ(values(layer.running_mean), Doubles{1});
  EXPECT_EQ(values(layer.running_var), Doubles{2});
  layer.set_momentum(std::nullopt);
  layer(tensor({3, 5}, {2, 1}));
  expect_near(values(layer.running_mean), {2.0L}, 1e-6, "the third batch weighs a third: 1 + 3/3");
}

TEST(BatchNorm1d, TrackingSwitchedOffLater) {
  BatchNorm1d layer(1);
  const Tensor x = tensor({0, 2}, {2, 1});
  layer(x);
  const auto mean = values(layer.running_mean);
  layer.set_track_running_stats(false);
  layer(x);
  EXPECT_EQ(values(layer.running_mean), mean) << "training no longer moves them";
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
  layer.eval();
  layer.running_mean = tensor({7});
  layer.running_var = tensor({1});
  expect_near(values(layer(tensor({7, 8}, {2, 1}))), {0, 1}, 1e-5, "eval still uses them");
}

TEST(BatchNorm1d, ResetsInPlace) {
  BatchNorm1d layer(1);
  const Tensor mean = layer.running_mean;
  const Parameter weight = layer.weight;
  layer(tensor({4, 6}, {2, 1}));
  layer.weight.data().fill_(5);
  layer.bias.data().fill_(5);
  layer.reset_running_stats();
  EXPECT_TRUE(layer.running_mean.is_same(mean));
  EXPECT_EQ(values(mean), Doubles{0});
  EXPECT_EQ(values(layer.running_var), Doubles{1});
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_EQ(values(layer.weight.data()), Doubles{5});
  layer.reset_parameters();
  EXPECT_TRUE(layer.weight.is_same(weight));
  EXPECT_EQ(values(layer.weight.data()), Doubles{1});
  EXPECT_EQ(values(layer.bias.data()), Doubles{0});
  layer.set_affine(false);
  layer.weight.data().fill_(5);
  layer.reset_parameters();
  EXPECT_EQ(values(layer.weight.data()), Doubles{5}) << "affine says what reset_parameters fills";
}

TEST(BatchNormErrors, Rank) {
  BatchNorm1d layer(3);
  for (const std::int64_t rank : {0, 1, 4}) {
    expect_refused<ShapeError>(
        layer, Tensor::ones(halnorm::Shape(static_cast<std::size_t>(rank), 3)),
        {"BatchNorm1d: expected 2D or 3D input (got " + std::to_string(rank) + "D input)"});
  }
}

TEST(BatchNormErrors, Channels) {
  BatchNorm1d layer(3);
  expect_refused<ShapeError>(layer, Tensor::ones({2, 5}), {"3 channels", "got 5", "(2, 5)"});
  BatchNorm1d bare(3, {.affine = false, .track_running_stats = false});
  expect_throws<ShapeError>([&] { bare(Tensor::ones({2, 5})); }, {"3 channels", "got 5"});
}

TEST(BatchNormErrors, OneValuePerChannel) {
  BatchNorm1d layer(3);
  const std::string text =
      "Expected more than 1 value per channel when training, got input size (1, 3)";
  expect_refused<ValueError>(layer, Tensor::ones({1, 3}), {text}, false);
  BatchNorm1d untracked(3, {.track_running_stats = false});
  untracked.eval();
  expect_throws<ValueError>([&] { untracked(Tensor::ones({1, 3})); }, {text});
}

TEST(BatchNormErrors, Undefined) {
  BatchNorm1d layer(3);
  expect_refused<ValueError>(layer, Tensor(), {"BatchNorm1d", "undefined"});
}

TEST(BatchNormErrors, DTypes) {
  BatchNorm1d layer(3);
  expect_refused<DTypeError>(layer, Tensor::ones({2, 3}, DType::Int64), {"int64"});
  for (const char* name : {"weight", "bias"}) {
    BatchNorm1d mixed(3);
    mixed.set(name, Parameter(Tensor::ones({3}, DType::Float64)));
    expect_refused<DTypeError>(mixed, Tensor::ones({2, 3}), {name, "float64", "float32"});
  }
  for (const char* name : {"running_mean", "running_var"}) {
    BatchNorm1d mixed(3);
    mixed.set(name, Tensor::ones({3}, DType::Float64));
    expect_refused<DTypeError>(mixed, Tensor::ones({2, 3}), {name, "float64", "float32"});
  }
}

TEST(BatchNormErrors, ReplacedTensors) {
  const Tensor x = Tensor::ones({2, 3});
  for (const std::string name : {"weight", "bias", "running_mean", "running_var"}) {
    BatchNorm1d layer(3);
    const bool is_parameter = name == "weight" || name == "bias";
    is_parameter ? layer.set(name, Parameter(Tensor::ones({5})))
                 : layer.set(name, Tensor::ones({5}));
    expect_refused<ShapeError>(layer, x, {name + " should contain 3 elements", "(5,)"});
  }
}

TEST(BatchNormErrors, OneRunningStatistic) {
  const Tensor x = Tensor::ones({2, 3});
  BatchNorm1d layer(3);
  layer.running_var = Tensor();
  for (const bool training : {true, false}) {
    layer.train(training);
    expect_throws<ValueError>(
        [&] { layer(x); },
        {"running_mean and running_var must either both be None or neither be None"});
  }
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
}

TEST(BatchNormErrors, Counter) {
  const Tensor x = Tensor::ones({2, 3});
  BatchNorm1d layer(3, {.momentum = std::nullopt});
  layer.num_batches_tracked = Tensor();
  expect_throws<ValueError>([&] { layer(x); }, {"momentum None", "num_batches_tracked"});
  layer.num_batches_tracked = Tensor::zeros({});
  expect_throws<DTypeError>([&] { layer(x); }, {"float32", "int64"});
  layer.num_batches_tracked = Tensor::zeros({2}, DType::Int64);
  expect_throws<ShapeError>([&] { layer(x); }, {"num_batches_tracked", "(2,)"});
  EXPECT_EQ(values(layer.running_var), (Doubles{1, 1, 1}));
}

TEST(BatchNormErrors, Out) {
  BatchNorm1d layer(3);
  const Tensor x = Tensor::ones({2, 3});
  const State before(layer);
  expect_throws<ShapeError>([&] { layer(x, Tensor::ones({3, 3})); }, {"out", "(3, 3)", "(2, 3)"});
  EXPECT_TRUE(State(layer) == before);
}

TEST(BatchNormErrors, Devices) {
  BatchNorm1d layer(3);
  expect_throws<DeviceError>([&] { layer.cuda(); }, {"cuda:0"});
  expect_throws<DeviceError>([&] { layer.cuda(-1); }, {"cuda:-1", "negative"});
  EXPECT_EQ(layer.weight.data().device(), halnorm::Device::cpu());
}

TEST(BatchNormSiblings, TakeTheirRanks) {
  BatchNorm2d two(3);
  BatchNorm3d three(3);
  const Tensor x = Tensor::randn({4, 3, 10}, 7);
  BatchNorm1d one(3);
  const auto want = values(one(x));
  EXPECT_EQ(values(two(x.reshape({4, 3, 2, 5}))), want);
  EXPECT_EQ(values(three(x.reshape({4, 3, 1, 2, 5}))), want);
  EXPECT_EQ(two.backward(Tensor::ones({4, 3, 2, 5})).shape(), (halnorm::Shape{4, 3, 2, 5}));
  const Tensor last = x.transpose(1, 2).contiguous().transpose(1, 2).reshape({4, 3, 2, 5});
  expect_near(values(two(last)), {want.begin(), want.end()}, tolerance, "channels last");
  expect_throws<ShapeError>([&] { two(x); }, {"BatchNorm2d", "expected 4D input (got 3D input)"});
  expect_throws<ShapeError>([&] { three(x); }, {"BatchNorm3d", "expected 5D input (got 3D input)"});
  EXPECT_EQ(two.str(),
            "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
  EXPECT_EQ(three.name(), "BatchNorm3d");
}
