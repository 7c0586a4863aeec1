#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nn/fixture.h"
#include "support/throws.h"

/// @file
/// Integers of a state dictionary: num_batches_tracked, and buffers like it.

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using Doubles = std::vector<double>;

namespace {

/// Everything a layer holds, as numbers.
Doubles contents(const Module& module) {
  Doubles all;
  for (const auto& [name, tensor] : module.state_dict()) {
    const auto part = values(tensor);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

TEST(LoadStateDict, ACounterOfOneAxisIsThatOfOldPyTorch) {
  BatchNorm1d layer(2);
  StateDict dict = layer.state_dict();
  for (const DType dtype : {DType::Int64, DType::Float32, DType::Float64, DType::Float16}) {
    for (const halnorm::Shape& shape : {halnorm::Shape{1}, halnorm::Shape{}}) {
      layer.num_batches_tracked.fill_(0);
      dict.set("num_batches_tracked", Tensor::full(shape, 42, dtype));
      layer.load_state_dict(dict);
      EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 42);
      EXPECT_EQ(layer.num_batches_tracked.dim(), 0);
    }
  }
  layer.register_buffer("scale", tensor({1}, {}));
  dict.set("scale", tensor({5}));
  layer.load_state_dict(dict);
  EXPECT_EQ(values(layer.get_buffer("scale")), Doubles{5}) << "so it is with any of no axis";
  for (const halnorm::Shape& shape : {halnorm::Shape{2}, halnorm::Shape{0}, halnorm::Shape{1, 1}}) {
    dict.set("num_batches_tracked", Tensor::full(shape, 42, DType::Int64));
    expect_throws<LoadError>([&] { layer.load_state_dict(dict); },
                             {"size mismatch for num_batches_tracked"});
  }
}

TEST(LoadStateDict, ACounterThatIsNoneIsAnError) {
  BatchNorm1d layer(2);
  *layer.num_batches_tracked.data<std::int64_t>() = 3;
  layer.register_buffer("steps", Tensor::zeros({2}, DType::Int64));
  const auto before = contents(layer);
  StateDict dict = BatchNorm1d(2).state_dict();
  dict.set("weight", tensor({8, 8}));
  dict.set("steps", tensor({1, 2}));
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double counter : {std::nan(""), infinity, -infinity, 7.9, 0x1p63, 1e300, -1.0}) {
    dict.set("num_batches_tracked", Tensor::full({}, counter, DType::Float64));
    expect_throws<LoadError>([&] { layer.load_state_dict(dict); }, {"num_batches_tracked", "got "});
    EXPECT_EQ(contents(layer), before) << counter;
  }
  dict.set("num_batches_tracked", Tensor::full({}, -1, DType::Int64));
  expect_throws<LoadError>([&] { layer.load_state_dict(dict); },
                           {"num_batches_tracked", "got -1.0 batches, wanted at least 0"});
  dict.set("num_batches_tracked", Tensor::full({1}, 0x1p62, DType::Float64));
  dict.set("steps", tensor({1, 2.5}));
  expect_throws<LoadError>([&] { layer.load_state_dict(dict); }, {"\"steps\"", "got 2.5"});
  EXPECT_EQ(contents(layer), before);
  dict.set("steps", tensor({1, -2}));
  layer.load_state_dict(dict);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), std::int64_t{1} << 62);
  EXPECT_EQ(values(layer.get_buffer("steps")), (Doubles{1, -2}));
}
