#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "nn/fixture.h"
#include "support/kernel_test.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Sequential;

/// The steps of docs/weights.md give the results of the frameworks that it names.

namespace {

const std::vector<float> gamma = {0.5F, -2.0F};
const std::vector<float> beta = {1.0F, 0.25F};
const std::vector<float> mean = {3.0F, -1.0F};
const std::vector<float> variance = {4.0F, 0.01F};
const Tensor x = Tensor::randn({16, 2}, 1);

/// (x - mean) / sqrt(variance + eps) * gamma + beta, the inference of each framework.
oracle::Values expected(double eps) {
  oracle::Values y;
  const auto all = values(x);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t c = i % 2;
    y.push_back((all[i] - double{mean[c]}) / std::sqrt(double{variance[c]} + eps) *
                    double{gamma[c]} +
                double{beta[c]});
  }
  return y;
}

// y up to 80 through a handful of float32 roundings.
constexpr double tolerance = 80 * 8 * 6e-8;

StateDict dict_of(const char* names[4]) {
  StateDict dict;
  const std::vector<float>* all[] = {&gamma, &beta, &mean, &variance};
  for (std::size_t i = 0; i < 4; ++i) {
    dict.set(names[i], Tensor::from(*all[i], {2}));
  }
  return dict;
}

}  // namespace

TEST(ForeignWeights, OfKeras) {
  const char* names[] = {"bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"};
  StateDict dict = dict_of(names);
  dict.rename("bn/gamma", "weight");
  dict.rename("bn/beta", "bias");
  dict.rename("bn/moving_mean", "running_mean");
  dict.rename("bn/moving_variance", "running_var");
  BatchNorm1d layer(2, {.eps = 1e-3, .momentum = 1 - 0.99});
  layer.load_state_dict(dict);
  expect_near(values(layer.eval()(x)), expected(1e-3), tolerance, "y");
}

TEST(ForeignWeights, MomentumOfKerasIsOneMinusOurs) {
  BatchNorm1d layer(2, {.eps = 1e-3, .momentum = 1 - 0.99});
  layer(x);
  const auto all = values(x);
  for (std::size_t c = 0; c < 2; ++c) {
    double sum = 0;
    for (std::size_t i = c; i < all.size(); i += 2) {
      sum += all[i];
    }
    // Keras: moving = moving * momentum + batch * (1 - momentum)
    EXPECT_NEAR(values(layer.running_mean)[c], 0 * 0.99 + sum / 16 * (1 - 0.99), 1e-8);
  }
}

TEST(ForeignWeights, OfOnnx) {
  const char* names[] = {"scale", "B", "input_mean", "input_var"};
  StateDict dict = dict_of(names);
  dict.rename("scale", "weight");
  dict.rename("B", "bias");
  dict.rename("input_mean", "running_mean");
  dict.rename("input_var", "running_var");
  BatchNorm1d layer(2, {.eps = 1e-5, .momentum = 1 - 0.9});
  layer.load_state_dict(dict);
  expect_near(values(layer.eval()(x)), expected(1e-5), tolerance, "y");
}

TEST(ForeignWeights, AVarianceAboveFloat16IsInfiniteInHalf) {
  BatchNorm1d layer(2);
  layer.running_var.copy_(tensor({65504, 65536}));
  layer.bias.data().fill_(0.5);
  layer.eval();
  const auto half = layer.clone();
  half->to_half();
  EXPECT_EQ(values(half->running_var),
            (std::vector<double>{65504, std::numeric_limits<double>::infinity()}));
  const Tensor large = Tensor::full({4, 2}, 1024, DType::Float16);
  EXPECT_EQ(values((*half)(large))[1], 0.5) << "y is the bias";
  // float16 data beside float32 parameters
  EXPECT_NEAR(values(layer(large))[1], 1024 / std::sqrt(65536 + 1e-5) + 0.5, 4.5 * 0x1p-10);
}

TEST(ForeignWeights, OfOneLayerWithinACheckpoint) {
  BatchNorm1d source(2);
  source(x);
  StateDict checkpoint;
  source.state_dict(checkpoint, "module.bn1.");
  checkpoint.set("module.conv.weight", Tensor::ones({3}));
  checkpoint.set("module.bn10.weight", Tensor::zeros({2}));
  BatchNorm1d layer(2);
  EXPECT_EQ(layer.load_state_dict(checkpoint, {.prefix = "module.bn1."}).str(),
            "<All keys matched successfully>");
  EXPECT_EQ(values(layer.running_var), values(source.running_var));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);

  Sequential net;
  net.emplace<BatchNorm1d>(2);
  StateDict of_tree;
  net.state_dict(of_tree, "ema.");
  EXPECT_EQ(net.load_state_dict(of_tree, {.prefix = "ema."}).str(),
            "<All keys matched successfully>");
}

TEST(ForeignWeights, WhatAPrefixLeavesMissingIsNamedInFull) {
  StateDict checkpoint = BatchNorm1d(2).state_dict("bn1.");
  checkpoint.erase("bn1.bias");
  checkpoint.set("bn1.extra", Tensor::ones({1}));
  BatchNorm1d layer(2);
  layer.weight.data().fill_(7);
  expect_throws<LoadError>([&] { layer.load_state_dict(checkpoint, {.prefix = "bn1."}); },
                           {"Missing key(s) in state_dict: \"bn1.bias\"",
                            "Unexpected key(s) in state_dict: \"bn1.extra\""});
  expect_throws<LoadError>([&] { layer.load_state_dict(checkpoint, {.prefix = "bn2."}); },
                           {"\"bn2.weight\"", "\"bn2.running_var\""});
  EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{7, 7}));
  const auto result = layer.load_state_dict(checkpoint, {.strict = false, .prefix = "bn1."});
  EXPECT_EQ(result.str(),
            "_IncompatibleKeys(missing_keys=['bn1.bias'], unexpected_keys=['bn1.extra'])");
}
