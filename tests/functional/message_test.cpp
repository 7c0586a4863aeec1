#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "halnorm/halnorm.h"
#include "nn/fixture.h"
#include "support/throws.h"

/// @file
/// Each error about a single value names the function or module, the argument and its value.

using halnorm::DType;
using halnorm::DTypeError;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::BatchNorm2d;
using halnorm::nn::Sequential;
namespace functional = halnorm::functional;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
const Tensor x = Tensor::randn({6, 4}, 1);
const Tensor zeros = Tensor::zeros({4});
const Tensor ones = Tensor::ones({4});

}  // namespace

TEST(Messages, EpsIsWrittenInFull) {
  const std::vector<std::pair<double, const char*>> bad = {
      {-1e-9, "-1e-09"}, {-0.1, "-0.1"}, {-1e300, "-1e+300"}, {nan, "nan"}, {infinity, "inf"}};
  const Tensor none;
  const Tensor addend = x.clone();
  for (const auto& [eps, text] : bad) {
    const auto refuses = [eps = eps, text = text](const char* function, auto call) {
      expect_throws<ValueError>([&] { call(eps); }, {function, ": eps is ", text});
    };
    refuses("batch_norm_train", [&](double e) { functional::batch_norm_train(x, none, none, e); });
    refuses("batch_norm_train_update", [&](double e) {
      functional::batch_norm_train_update(x, zeros, ones, none, none, 0.1, e);
    });
    refuses("batch_norm_infer",
            [&](double e) { (void)functional::batch_norm_infer(x, zeros, ones, none, none, e); });
    refuses("batch_norm_backward_infer",
            [&](double e) { functional::batch_norm_backward_infer(x, x, none, zeros, ones, e); });
    refuses("batch_norm_fused_train",
            [&](double e) { functional::batch_norm_fused_train(x, addend, none, none, e); });
    refuses("batch_norm_fused_infer", [&](double e) {
      (void)functional::batch_norm_fused_infer(x, addend, zeros, ones, none, none, e);
    });
    expect_throws<ValueError>([eps = eps] { BatchNorm1d(4, {.eps = eps}); },
                              {"BatchNorm1d", "eps", text});
    BatchNorm2d layer(4);
    expect_throws<ValueError>([&, eps = eps] { layer.set_eps(eps); },
                              {"BatchNorm2d.set_eps", text});
    EXPECT_EQ(layer.eps(), 1e-5);
  }
}

TEST(Messages, MomentumIsBlamedOnItsOwner) {
  for (const auto& [momentum, text] :
       {std::pair{nan, "nan"}, std::pair{infinity, "inf"}, std::pair{-infinity, "-inf"}}) {
    const Tensor mean = zeros.clone();
    const Tensor var = ones.clone();
    expect_throws<ValueError>(
        [&, momentum = momentum] {
          (void)functional::batch_norm(x, mean, var, {}, {}, true, momentum, 1e-5);
        },
        {"batch_norm: momentum is ", text});
    expect_throws<ValueError>(
        [&, momentum = momentum] {
          functional::batch_norm_train_update(x, mean, var, {}, {}, momentum, 1e-5);
        },
        {"batch_norm_train_update: factor is ", text});
    EXPECT_EQ(mean.to_vector<double>(), zeros.to_vector<double>());
    BatchNorm1d layer(4);
    expect_throws<ValueError>([&, momentum = momentum] { layer.set_momentum(momentum); },
                              {"BatchNorm1d.set_momentum", text});
    expect_throws<ValueError>([momentum = momentum] { BatchNorm1d(4, {.momentum = momentum}); },
                              {"BatchNorm1d", "momentum", text});
  }
}

TEST(Messages, CountsAreWrittenInFull) {
  const halnorm::functional::Moments moments{fixture::tensor({-1e-9F}, {}), zeros, ones};
  expect_throws<ValueError>(
      [&] { functional::update_running_stats(zeros.clone(), ones.clone(), moments, 0.1); },
      {"update_running_stats: count is ", "e-"});
}

TEST(Messages, ABadCounterIsBlamedOnTheModule) {
  Sequential net;
  const auto layer = std::make_shared<BatchNorm1d>(4);
  net.append(layer);
  layer->num_batches_tracked = Tensor::zeros({});
  expect_throws<DTypeError>([&] { net(x); },
                            {"0: BatchNorm1d: num_batches_tracked is float32", "int64"});
  layer->num_batches_tracked = Tensor::zeros({2}, DType::Int64);
  expect_throws<ShapeError>([&] { net(x); }, {"0: BatchNorm1d: num_batches_tracked", "(2,)"});
  layer->num_batches_tracked = Tensor::full({}, -1, DType::Int64);
  layer->set_momentum(std::nullopt);
  expect_throws<ValueError>([&] { net(x); },
                            {"0: BatchNorm1d: num_batches_tracked is -1", "at least 0"});
  layer->num_batches_tracked = Tensor();
  expect_throws<ValueError>([&] { net(x); }, {"0: BatchNorm1d: got momentum None"});
  EXPECT_EQ(layer->running_mean.to_vector<double>(), zeros.to_vector<double>());
  EXPECT_EQ(net.pending_backwards(), 0U);
  layer->num_batches_tracked = Tensor::zeros({}, DType::Int64);
  net(x);
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 1);
}
