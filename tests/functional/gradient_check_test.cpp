#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "nn/fixture.h"
#include "support/throws.h"

/// @file
/// A backward checks the gradients that it adds to before it computes anything, because set_data()
/// may have replaced them.

using fixture::values;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Error;
using halnorm::Parameter;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::FusedBatchNorm1d;
using Doubles = std::vector<double>;

namespace {

const Tensor x = Tensor::randn({6, 4}, 1);
const Tensor dy = Tensor::randn({6, 4}, 2);

/// A tensor with a stride of two: every second of 2 * count values.
Tensor strided(std::int64_t count) {
  return Tensor::zeros({2 * count}).reshape({count, 2}).narrow(1, 0, 1).reshape({count});
}

Tensor repeated(std::int64_t count) {
  static float one = 0;
  return Tensor::from_blob(&one, {count}, DType::Float32, {0});
}

struct Refused {
  const char* says;
  Tensor gradient;
};

std::vector<Refused> refused() {
  return {{"(100000,)", Tensor::zeros({100000})},
          {"(3,)", Tensor::zeros({3})},
          {"(5,)", Tensor::zeros({5})},
          {"()", Tensor::zeros({})},
          {"(1, 4)", Tensor::zeros({1, 4})},
          {"(0,)", Tensor::zeros({0})},
          {"int64", Tensor::zeros({4}, DType::Int64)},
          {"strides (0,)", repeated(4)}};
}

template <class Layer>
class GradientCheck : public ::testing::Test {};
using Layers = ::testing::Types<BatchNorm1d, FusedBatchNorm1d>;

/// The layer after a backward and another forward.
template <class Layer>
void prepare(Layer& layer, bool training) {
  layer.train(training);
  layer(x);
  layer.backward(dy);
  layer(x);
}

}  // namespace

TYPED_TEST_SUITE(GradientCheck, Layers);

TYPED_TEST(GradientCheck, BadGradientsAreRefusedBeforeAnythingIsComputed) {
  for (const bool training : {true, false}) {
    for (const bool of_weight : {true, false}) {
      for (const auto& [says, bad] : refused()) {
        SCOPED_TRACE(says);
        TypeParam layer(4);
        prepare(layer, training);
        const Parameter& changed = of_weight ? layer.weight : layer.bias;
        const Parameter& other = of_weight ? layer.bias : layer.weight;
        const Tensor good = changed.grad().clone();
        const Doubles before = values(other.grad());
        changed.grad().set_data(bad);
        const Doubles bad_before = values(bad);
        const std::string where = layer.name() + ".backward";
        const char* name = of_weight ? "weight.grad" : "bias.grad";
        const std::string message = fixture::message_of<Error>([&] { layer.backward(dy); });
        EXPECT_TRUE(fixture::contains(message, where) && fixture::contains(message, name) &&
                    fixture::contains(message, says))
            << message;
        EXPECT_EQ(values(other.grad()), before) << "the other gradient";
        EXPECT_EQ(values(bad), bad_before);
        EXPECT_EQ(layer.pending_backwards(), 1U);
        changed.grad().set_data(good);
        layer.backward(dy);
        EXPECT_EQ(values(other.grad()).at(1), 2 * before.at(1)) << "twice the same gradient";
      }
    }
  }
}

TYPED_TEST(GradientCheck, AGradientHasMemoryOfItsOwn) {
  const auto row = [](const Tensor& data) { return data.narrow(0, 2, 1).reshape({4}); };
  for (const char* other : {"bias.grad", "weight", "bias", "x", "y", "grad_output"}) {
    SCOPED_TRACE(other);
    TypeParam layer(4);
    const Tensor input = x.clone();
    const Tensor gradient = dy.clone();
    layer(x);
    layer.backward(dy);
    const Tensor y = layer(input);
    const std::map<std::string, Tensor> memory = {{"bias.grad", layer.bias.grad()},
                                                  {"weight", layer.weight.data()},
                                                  {"bias", layer.bias.data()},
                                                  {"x", row(input)},
                                                  {"y", row(y)},
                                                  {"grad_output", row(gradient)}};
    if (std::string(other) == "y" && std::is_same_v<TypeParam, BatchNorm1d>) {
      continue;  // is not read again
    }
    layer.weight.grad().set_data(memory.at(other));
    const Doubles before = values(memory.at(other));
    expect_throws<ShapeError>([&] { layer.backward(gradient); },
                              {".backward: weight.grad overlaps ", other});
    EXPECT_EQ(values(memory.at(other)), before);
    EXPECT_EQ(layer.pending_backwards(), 1U);
  }
}

TYPED_TEST(GradientCheck, StridedAndOtherFloatingGradientsAreAddedTo) {
  TypeParam want(4);
  prepare(want, true);
  want.backward(dy);
  TypeParam layer(4);
  layer.weight.set_grad(strided(4));
  layer.bias.set_grad(Tensor::zeros({4}, DType::Float64));
  prepare(layer, true);
  layer.backward(dy);
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(values(layer.weight.grad())[c], values(want.weight.grad())[c], 1e-5);
    EXPECT_NEAR(values(layer.bias.grad())[c], values(want.bias.grad())[c], 1e-5);
  }
}

TYPED_TEST(GradientCheck, OneParameterMayTakeBothSums) {
  TypeParam two(4);
  two.bias.data().fill_(1);
  two(x);
  two.backward(dy);
  TypeParam one(4);
  one.bias = one.weight;
  for (int i = 1; i <= 2; ++i) {
    one(x);
    one.backward(dy);
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(values(one.weight.grad())[c],
                  i * (values(two.weight.grad())[c] + values(two.bias.grad())[c]), 1e-5);
    }
  }
}

TYPED_TEST(GradientCheck, ParametersAndBuffersThatWereReplaced) {
  using Replace = std::function<void(TypeParam&)>;
  const std::vector<std::pair<const char*, Replace>> bad = {
      {"weight", [](TypeParam& l) { l.weight.data().set_data(Tensor::ones({5})); }},
      {"weight", [](TypeParam& l) { l.weight.data().set_data(Tensor::ones({})); }},
      {"weight", [](TypeParam& l) { l.weight.data().set_data(Tensor::ones({4}, DType::Int64)); }},
      {"bias",
       [](TypeParam& l) {
         l.bias.data().set_data(Tensor::ones({4, 1}));
       }},
      {"running_mean", [](TypeParam& l) { l.running_mean.set_data(Tensor::ones({100})); }},
      {"running_var", [](TypeParam& l) { l.running_var.set_data(Tensor::ones({0})); }},
      {"running_mean", [](TypeParam& l) { l.running_mean = Tensor(); }},
      {"running_mean",
       [](TypeParam& l) { l.running_mean.set_data(Tensor::ones({4}, DType::Int64)); }},
  };
  for (const bool training : {true, false}) {
    for (const auto& [name, replace] : bad) {
      TypeParam layer(4);
      layer.train(training);
      replace(layer);
      const std::string message = fixture::message_of<Error>([&] { layer(x); });
      EXPECT_TRUE(fixture::contains(message, name)) << message;
      EXPECT_EQ(layer.num_batches_tracked.template item<std::int64_t>(), 0);
      EXPECT_EQ(layer.pending_backwards(), 0U);
      layer.zero_grad();
    }
  }
  TypeParam layer(4);
  prepare(layer, true);
  layer.bias.data().set_data(Tensor::ones({4}, DType::Int64));
  expect_throws<DTypeError>([&] { layer.backward(dy); }, {".backward: bias", "int64"});
}

TEST(ParameterGradient, SetAndAccumulateCheckWhatTheyTake) {
  const Parameter weight(Tensor::ones({4}));
  expect_throws<DTypeError>([&] { weight.set_grad(Tensor::zeros({4}, DType::Int64)); },
                            {"Parameter::set_grad", "int64"});
  expect_throws<ShapeError>([&] { weight.set_grad(repeated(4)); },
                            {"Parameter::set_grad", "strides (0,)"});
  expect_throws<ValueError>([&] { weight.accumulate_grad(Tensor()); },
                            {"Parameter::accumulate_grad", "undefined"});
  expect_throws<DTypeError>([&] { weight.accumulate_grad(Tensor::zeros({4}, DType::Int64)); },
                            {"Parameter::accumulate_grad", "int64"});
  EXPECT_FALSE(weight.grad().defined());
  for (const auto& [says, bad] : refused()) {
    weight.set_grad(Tensor::zeros({4}));
    weight.grad().set_data(bad);
    const std::string message =
        fixture::message_of<Error>([&] { weight.accumulate_grad(Tensor::ones({4})); });
    EXPECT_TRUE(fixture::contains(message, "Parameter::accumulate_grad") &&
                fixture::contains(message, says))
        << message;
  }
}

TEST(ParameterGradient, ModulesZeroAndConvertWithoutHarm) {
  for (const auto& [says, bad] : refused()) {
    SCOPED_TRACE(says);
    BatchNorm1d layer(4);
    prepare(layer, true);
    layer.bias.grad().set_data(bad);
    layer.zero_grad();
    EXPECT_EQ(values(layer.bias.grad()), Doubles(values(bad).size()));
    if (bad.shape() == halnorm::Shape{4}) {
      layer.to(DType::Float64);
    } else {
      expect_throws<ShapeError>([&] { layer.to(DType::Float64); },
                                {"gradient of parameter 'bias'", says});
    }
    layer.zero_grad(true);
    EXPECT_FALSE(layer.bias.grad().defined());
  }
}

TEST(ParameterGradient, OverlappingMemoryIsAddedAsItWas) {
  Tensor block = fixture::tensor({1, 2, 3, 4, 5});
  const Parameter weight(Tensor::ones({4}));
  weight.set_grad(block.narrow(0, 1, 4));
  weight.accumulate_grad(block.narrow(0, 0, 4));
  EXPECT_EQ(values(block), (Doubles{1, 3, 5, 7, 9}));
}
