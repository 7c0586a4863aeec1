#include <gtest/gtest.h>

#include <utility>

#include "halnorm/error.h"
#include "halnorm/functional_arguments.h"
#include "support/throws.h"

/// @file
/// Functions with their arguments by name give the bits of the positional ones.

namespace F = halnorm::functional;
using halnorm::Tensor;

namespace {

constexpr double eps = 1e-3;
constexpr double slope = 0.25;

struct Arguments : testing::Test {
  const Tensor x = Tensor::randn({6, 3, 5}, 1);
  const Tensor dy = Tensor::randn({6, 3, 5}, 2);
  const Tensor addend = Tensor::randn({6, 3, 5}, 3);
  const Tensor weight = Tensor::randn({3}, 4);
  const Tensor bias = Tensor::randn({3}, 5);
  const Tensor mean = Tensor::randn({3}, 6);
  const Tensor var = Tensor::full({3}, 2);
};

void expect_same(const Tensor& got, const Tensor& wanted) {
  EXPECT_EQ(got.to_vector<double>(), wanted.to_vector<double>());
}

}  // namespace

TEST_F(Arguments, ByNameAreThePositionalOnes) {
  expect_same(F::batch_norm_infer({.x = x,
                                   .running_mean = mean,
                                   .running_var = var,
                                   .weight = weight,
                                   .bias = bias,
                                   .eps = eps}),
              F::batch_norm_infer(x, mean, var, weight, bias, eps));
  expect_same(F::batch_norm_backward_infer({.dy = dy,
                                            .x = x,
                                            .weight = weight,
                                            .running_mean = mean,
                                            .running_var = var,
                                            .eps = eps})
                  .dx,
              F::batch_norm_backward_infer(dy, x, weight, mean, var, eps).dx);
  const auto f = F::batch_norm_train(x, weight, bias, eps);
  const auto r = F::batch_norm_backward_reduce(dy, x, f.mean, f.invstd, weight);
  const Tensor count = F::batch_norm_moments(x).count;
  expect_same(
      F::batch_norm_backward_elemt({.dy = dy,
                                    .x = x,
                                    .mean = f.mean,
                                    .invstd = f.invstd,
                                    .weight = weight,
                                    .sum_dy = r.sum_dy,
                                    .sum_dy_xmu = r.sum_dy_xmu,
                                    .count = count}),
      F::batch_norm_backward_elemt(dy, x, f.mean, f.invstd, weight, r.sum_dy, r.sum_dy_xmu, count));
}

TEST_F(Arguments, OfFusedFunctionsToo) {
  expect_same(F::batch_norm_fused_infer({.x = x,
                                         .addend = addend,
                                         .running_mean = mean,
                                         .running_var = var,
                                         .weight = weight,
                                         .bias = bias,
                                         .eps = eps}),
              F::batch_norm_fused_infer(x, addend, mean, var, weight, bias, eps));
  const Tensor y = F::batch_norm_fused_infer(x, addend, mean, var, weight, bias, eps);
  expect_same(F::batch_norm_fused_backward_infer({.dy = dy,
                                                  .x = x,
                                                  .y = y,
                                                  .weight = weight,
                                                  .running_mean = mean,
                                                  .running_var = var,
                                                  .eps = eps})
                  .dx,
              F::batch_norm_fused_backward_infer(dy, x, y, weight, mean, var, eps).dx);
}

TEST_F(Arguments, OfFusedTrainingToo) {
  const Tensor out = Tensor::empty(x.shape());
  const auto got = F::batch_norm_fused_train({.x = x,
                                              .addend = addend,
                                              .weight = weight,
                                              .bias = bias,
                                              .eps = eps,
                                              .out = out,
                                              .slope = slope});
  const auto wanted = F::batch_norm_fused_train(x, addend, weight, bias, eps, {}, slope);
  EXPECT_TRUE(got.y.is_same(out));
  expect_same(got.y, wanted.y);
  expect_same(got.mean, wanted.mean);
  expect_same(got.invstd, wanted.invstd);
}

TEST_F(Arguments, OfFusedGradientsToo) {
  const auto f = F::batch_norm_fused_train(x, addend, weight, bias, eps, {}, slope);
  const Tensor out = Tensor::empty(x.shape());
  const auto got = F::batch_norm_fused_backward({.dy = dy,
                                                 .x = x,
                                                 .y = f.y,
                                                 .weight = weight,
                                                 .mean = f.mean,
                                                 .invstd = f.invstd,
                                                 .out = out,
                                                 .slope = slope});
  const auto wanted = F::batch_norm_fused_backward(dy, x, f.y, weight, f.mean, f.invstd, {}, slope);
  EXPECT_TRUE(got.dx.is_same(out));
  expect_same(got.dx, wanted.dx);
  expect_same(got.daddend, wanted.daddend);
  expect_same(got.dweight, wanted.dweight);
  expect_same(got.dbias, wanted.dbias);
}

TEST_F(Arguments, OfFoldingToo) {
  const Tensor layer_bias = Tensor::randn({3}, 7);
  const Tensor conv_w = Tensor::randn({2, 3, 4}, 8);
  const auto conv = F::fuse_conv_bn_weights({.conv_w = conv_w,
                                             .conv_b = layer_bias,
                                             .bn_rm = mean,
                                             .bn_rv = var,
                                             .bn_eps = eps,
                                             .bn_w = weight,
                                             .bn_b = bias,
                                             .transpose = true});
  const auto wanted_conv =
      F::fuse_conv_bn_weights(conv_w, layer_bias, mean, var, eps, weight, bias, true);
  expect_same(conv.weight, wanted_conv.weight);
  expect_same(conv.bias, wanted_conv.bias);
  const Tensor linear_w = Tensor::randn({3, 4}, 9);
  const auto linear = F::fuse_linear_bn_weights({.linear_w = linear_w,
                                                 .linear_b = layer_bias,
                                                 .bn_rm = mean,
                                                 .bn_rv = var,
                                                 .bn_eps = eps,
                                                 .bn_w = weight,
                                                 .bn_b = bias});
  const auto wanted_linear =
      F::fuse_linear_bn_weights(linear_w, layer_bias, mean, var, eps, weight, bias);
  expect_same(linear.weight, wanted_linear.weight);
  expect_same(linear.bias, wanted_linear.bias);
}

TEST_F(Arguments, OfUpdatesHaveTheModulesDefaults) {
  const auto updated = [&](bool fused, bool by_name) {
    const Tensor m = mean.clone();
    const Tensor v = var.clone();
    if (by_name) {
      fused ? F::batch_norm_fused_train_update(
                  {.x = x, .addend = addend, .running_mean = m, .running_var = v})
            : F::batch_norm_train_update({.x = x, .running_mean = m, .running_var = v});
    } else {
      fused ? F::batch_norm_fused_train_update(x, addend, m, v, {}, {}, 0.1, 1e-5)
            : F::batch_norm_train_update(x, m, v, {}, {}, 0.1, 1e-5);
    }
    return std::pair(m.to_vector<double>(), v.to_vector<double>());
  };
  EXPECT_EQ(updated(false, true), updated(false, false));
  EXPECT_EQ(updated(true, true), updated(true, false));
  expect_same(F::batch_norm({.x = x, .weight = weight, .training = true}),
              F::batch_norm(x, {}, {}, weight, {}, true, 0.1, 1e-5));
  expect_throws<halnorm::ValueError>([] { F::batch_norm(F::BatchNormArguments{}); },
                                     {"batch_norm", "x is undefined"});
}

TEST_F(Arguments, LeftOutAreUndefinedOrHaveTheDefaults) {
  expect_same(F::batch_norm_fused_train({.x = x}).y,
              F::batch_norm_fused_train(x, {}, {}, {}, 1e-5).y);
  const F::BatchNormFusedBackwardArguments a{.dy = dy, .x = x, .y = x, .mean = mean, .invstd = var};
  expect_same(F::batch_norm_fused_backward(a).dx,
              F::batch_norm_fused_backward(dy, x, x, {}, mean, var).dx);
  const Tensor w = Tensor::randn({3, 4}, 7);
  const auto wanted = F::fuse_linear_bn_weights(w, {}, mean, var, 1e-5, {}, {});
  const auto conv = F::fuse_conv_bn_weights({.conv_w = w, .bn_rm = mean, .bn_rv = var});
  const auto linear = F::fuse_linear_bn_weights({.linear_w = w, .bn_rm = mean, .bn_rv = var});
  for (const auto& got : {conv, linear}) {
    expect_same(got.weight, wanted.weight);
    expect_same(got.bias, wanted.bias);
  }
}
