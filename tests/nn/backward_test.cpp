#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "halnorm/nn/batch_norm.h"
#include "nn/fixture.h"
#include "support/kernel_test.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::NoGradGuard;
using halnorm::Parameter;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using Doubles = std::vector<double>;

TEST(BatchNormBackward, LastInFirstOut) {
  BatchNorm1d layer(2, {.track_running_stats = false});
  const Tensor first = Tensor::randn({6, 2}, 1);
  const Tensor second = Tensor::randn({4, 2, 3}, 2);
  const Tensor dy_first = Tensor::randn({6, 2}, 3);
  const Tensor dy_second = Tensor::randn({4, 2, 3}, 4);
  layer(first);
  const auto want_first = values(layer.backward(dy_first));
  layer(second);
  const auto want_second = values(layer.backward(dy_second));
  layer.zero_grad(true);

  layer(first);
  layer(second);
  EXPECT_EQ(values(layer.backward(dy_second)), want_second);
  EXPECT_EQ(values(layer.backward(dy_first)), want_first);
  expect_throws<ValueError>([&] { layer.backward(dy_first); },
                            {"BatchNorm1d.backward", "no forward", "64"});
}

TEST(BatchNormBackward, GradientsAddUp) {
  BatchNorm1d layer(1);
  const Tensor x = tensor({1, 3}, {2, 1});
  const Tensor dy = tensor({1, 2}, {2, 1});
  layer(x);
  layer(x);
  layer.backward(dy);
  const Tensor grad = layer.bias.grad();
  EXPECT_EQ(values(grad), Doubles{3});
  layer.backward(dy);
  EXPECT_TRUE(layer.bias.grad().is_same(grad));
  EXPECT_EQ(values(grad), Doubles{6});
}

TEST(BatchNormBackward, OnlyRequiredGradientsAreStored) {
  BatchNorm1d layer(1);
  layer.weight.set_requires_grad(false);
  layer(tensor({1, 3}, {2, 1}));
  layer.backward(tensor({1, 2}, {2, 1}));
  EXPECT_FALSE(layer.weight.grad().defined());
  EXPECT_EQ(values(layer.bias.grad()), Doubles{3});
}

TEST(BatchNormBackward, AnotherFloatingDtypeIsConverted) {
  BatchNorm1d layer(1);
  layer(tensor({1, 3}, {2, 1}));
  const Tensor dx = layer.backward(tensor({1, 2}, {2, 1}).to(DType::Float64));
  EXPECT_EQ(dx.dtype(), DType::Float32);
}

TEST(BatchNormBackward, StatisticsAreThoseOfTheForward) {
  for (const bool training : {true, false}) {
    BatchNorm1d layer(1);
    layer.train(training);
    const Tensor x = tensor({1, 3}, {2, 1});
    const Tensor dy = tensor({1, 2}, {2, 1});
    layer(x);
    const auto want = values(layer.backward(dy));
    layer.reset_running_stats();
    layer(x);
    layer.running_mean.fill_(50);
    layer.running_var.fill_(100);
    layer.set_eps(1);
    EXPECT_EQ(values(layer.backward(dy)), want);
  }
}

TEST(BatchNormBackward, GradientsGoToTheParametersOfTheForward) {
  BatchNorm1d layer(1);
  const Parameter used = layer.bias;
  layer(tensor({1, 3}, {2, 1}));
  layer.bias = Parameter(tensor({0}));
  layer.backward(tensor({1, 2}, {2, 1}));
  EXPECT_EQ(values(used.grad()), Doubles{3});
  EXPECT_FALSE(layer.bias.grad().defined());
}

TEST(BatchNormBackward, AFailureChangesNothing) {
  BatchNorm1d layer(1);
  layer(tensor({1, 3}, {2, 1}));
  expect_throws<ValueError>([&] { layer.backward(Tensor()); }, {"undefined grad_output", "(2, 1)"});
  expect_throws<ShapeError>([&] { layer.backward(Tensor::ones({3, 1})); }, {"(3, 1)", "(2, 1)"});
  expect_throws<halnorm::DTypeError>(
      [&] {
        layer.backward(Tensor::ones({2, 1}, DType::Int64));
      },
      {"int64"});
  EXPECT_FALSE(layer.weight.grad().defined() || layer.bias.grad().defined());

  layer.bias.data().set_data(Tensor::ones({2}));  // its gradient no longer fits
  expect_throws<ShapeError>([&] { layer.backward(Tensor::ones({2, 1})); }, {"bias", "(2,)"});
  EXPECT_FALSE(layer.weight.grad().defined());
  layer.bias.data().set_data(Tensor::ones({1}));
  EXPECT_EQ(layer.backward(tensor({1, 2}, {2, 1})).shape(), (halnorm::Shape{2, 1}));
  EXPECT_EQ(values(layer.bias.grad()), Doubles{3});
}

TEST(BatchNormBackward, TheOldestForwardsAreDropped) {
  BatchNorm1d layer(1);
  constexpr auto most = static_cast<int>(BatchNorm1d::max_saved_forwards);
  for (int i = 0; i < most + 3; ++i) {
    layer(tensor({0, static_cast<float>(i)}, {2, 1}));
  }
  const Tensor dy = tensor({1, 2}, {2, 1});
  for (int i = 0; i < most; ++i) {
    layer.backward(dy);
  }
  expect_throws<ValueError>([&] { layer.backward(dy); }, {"no forward"});
  EXPECT_EQ(values(layer.bias.grad()), Doubles{3.0 * most});
}

TEST(BatchNormBackward, NothingIsKeptUnderNoGrad) {
  BatchNorm1d layer(1);
  {
    const NoGradGuard no_grad;
    layer(tensor({0, 2}, {2, 1}));
  }
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1)
      << "the mode decides what is updated";
  expect_throws<ValueError>([&] { layer.backward(Tensor::ones({2, 1})); }, {"NoGradGuard"});
}

TEST(BatchNormBackward, ClearedForwardsAreGone) {
  BatchNorm1d layer(1);
  layer(tensor({0, 2}, {2, 1}));
  layer.clear_saved_forwards();
  expect_throws<ValueError>([&] { layer.backward(Tensor::ones({2, 1})); }, {"no forward"});
}

TEST(BatchNormBackward, ACallThatFailsKeepsNothing) {
  BatchNorm1d layer(1);
  expect_throws<ValueError>([&] { layer(tensor({0}, {1, 1})); }, {"more than 1 value"});
  expect_throws<ValueError>([&] { layer.backward(Tensor::ones({1, 1})); }, {"no forward"});
}

/// Threads call with and without gradients; ThreadSanitizer would report a race.
TEST(BatchNormThreads, ShareAnEvalModule) {
  BatchNorm1d layer(8);
  layer.eval();
  const Tensor x = Tensor::randn({16, 8}, 5);
  const auto want = values(layer(x));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        if (t % 2 == 0) {
          const NoGradGuard no_grad;
          wrong += values(layer(x)) != want ? 1 : 0;
        } else {
          wrong += values(layer(x)) != want ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_EQ(values(layer.backward(Tensor::ones({16, 8}))).size(), 128U);
}
