#include <gtest/gtest.h>

#include <cmath>

#include "halnorm/nn/batch_norm.h"
#include "support/cases/element.h"
#include "support/cases/inputs.h"
#include "support/kernel_test.h"
#include "support/oracle.h"

using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

struct Pair {
  DType module, input;
};

std::vector<Pair> every_pair() {
  std::vector<Pair> pairs;
  for (const DType module : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    for (const DType input : element::linked()) {
      pairs.push_back({module, input});
    }
  }
  return pairs;
}

std::string name_of_pair(const ::testing::TestParamInfo<Pair>& info) {
  return std::string(halnorm::name_of(info.param.module)) + "_module_" +
         std::string(halnorm::name_of(info.param.input)) + "_input";
}

/// A module of one dtype is called with data of another.
class ModuleDtype : public ::testing::TestWithParam<Pair> {
 protected:
  ModuleDtype() {
    switch (GetParam().module) {
      case DType::Float16:
        layer.to_half();
        break;
      case DType::BFloat16:
        layer.to_bfloat16();
        break;
      case DType::Float64:
        layer.to_double();
        break;
      default:
        layer.to_float();
    }
  }

  /// The error of a value of about `size` after it was stored in the module's dtype.
  static double stored(double size) { return size * element::roundoff(GetParam().module) + 1e-5; }

  BatchNorm1d layer{3, {.eps = 1e-3}};
  inputs::Source source{11, GetParam().input};
  oracle::Batch batch{8, 3, 5, source.batch({8, 3, 5, ""}, 2.0)};
  Tensor x = Tensor::from(std::span<const double>(batch.values), {8, 3, 5}).to(GetParam().input);
};

}  // namespace

TEST_P(ModuleDtype, TrainsAndKeepsBothDtypes) {
  const Tensor y = layer(x);
  EXPECT_EQ(y.dtype(), GetParam().input);
  EXPECT_EQ(layer.running_mean.dtype(), GetParam().module);
  EXPECT_EQ(layer.running_var.dtype(), GetParam().module);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
  const oracle::Statistics truth = oracle::statistics(batch);
  const oracle::Values ones(3, 1);
  const oracle::Values zeros(3, 0);
  expect_near(inputs::doubles(y), oracle::train(batch, ones, zeros, 1e-3), 1e-5, "y",
              GetParam().input);
  const oracle::Running want = oracle::updated({zeros, ones}, truth, 0.1);
  expect_near(inputs::doubles(layer.running_mean), want.mean, stored(0.3), "running_mean");
  expect_near(inputs::doubles(layer.running_var), want.variance, stored(1.5), "running_var");
  EXPECT_EQ(layer.momentum(), 0.1) << "not rounded with the tensors";
  EXPECT_EQ(layer.eps(), 1e-3);
}

TEST_P(ModuleDtype, EvaluatesWithoutWriting) {
  layer(x);
  layer.eval();
  const std::vector<double> mean = inputs::doubles(layer.running_mean);
  const std::vector<double> variance = inputs::doubles(layer.running_var);
  const Tensor y = layer(x);
  EXPECT_EQ(y.dtype(), GetParam().input);
  EXPECT_TRUE(same_bits(inputs::doubles(layer.running_mean), mean));
  EXPECT_TRUE(same_bits(inputs::doubles(layer.running_var), variance));
  const oracle::Running running{inputs::real(mean), inputs::real(variance)};
  expect_near(inputs::doubles(y),
              oracle::infer(batch, running, oracle::Values(3, 1), oracle::Values(3, 0), 1e-3), 1e-5,
              "y", GetParam().input);
}

TEST_P(ModuleDtype, GivesGradientsInTheParametersDtype) {
  layer(x);
  const oracle::Batch dy{8, 3, 5, source.normals(120)};
  const Tensor dx = layer.backward(
      Tensor::from(std::span<const double>(dy.values), {8, 3, 5}).to(GetParam().input));
  const oracle::Gradients truth = oracle::backward(dy, batch, oracle::Values(3, 1), 1e-3);
  EXPECT_EQ(dx.dtype(), GetParam().input);
  expect_near(inputs::doubles(dx), truth.dx, 1e-5, "dx", GetParam().input);
  EXPECT_EQ(layer.weight.grad().dtype(), GetParam().module);
  EXPECT_EQ(layer.bias.grad().dtype(), GetParam().module);
  expect_near(inputs::doubles(layer.weight.grad()), truth.dweight, stored(largest(truth.dweight)),
              "dweight");
  expect_near(inputs::doubles(layer.bias.grad()), truth.dbias, stored(largest(truth.dbias)),
              "dbias");
}

INSTANTIATE_TEST_SUITE_P(Pairs, ModuleDtype, ::testing::ValuesIn(every_pair()), name_of_pair);
