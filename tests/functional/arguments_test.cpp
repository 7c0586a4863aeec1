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
