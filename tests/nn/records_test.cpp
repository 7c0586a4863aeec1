#include <gtest/gtest.h>

#include <memory>
#include <type_traits>
#include <vector>

#include "halnorm/halnorm.h"
#include "nn/fixture.h"
#include "support/record_fixture.h"
#include "support/throws.h"

/// @file
/// Tests which forward a backward differentiates, and how many records are kept.

using fixture::values;
using halnorm::NoGradGuard;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::FusedBatchNorm1d;
using halnorm::nn::Sequential;
using Doubles = std::vector<double>;

namespace {

const Tensor x = Tensor::randn({6, 4}, 1);
const Tensor other = Tensor::randn({5, 4}, 2);
const Tensor dy = Tensor::randn({6, 4}, 3);
const Tensor other_dy = Tensor::randn({5, 4}, 4);

template <class Layer>
class ModuleRecords : public RecordFixture<Layer> {};
using Layers = ::testing::Types<BatchNorm1d, FusedBatchNorm1d>;

}  // namespace

TYPED_TEST_SUITE(ModuleRecords, Layers);

TYPED_TEST(ModuleRecords, BackwardTakesTheLatestForwardOfTheMode) {
  const auto trained = this->want(x, dy, true);
  TypeParam layer(4);
  layer(x);
  layer.eval();
  layer(other);
  layer.train();
  EXPECT_EQ(this->result(layer, dy), trained) << "an eval forward lies between";
  layer.eval();
  EXPECT_EQ(values(layer.backward(other_dy)).size(), 20U);
  EXPECT_EQ(layer.pending_backwards(), 0U);

  layer.reset_parameters();
  const auto inferred = this->want(x, dy, false);
  layer(x);
  layer.train();
  layer(other);
  layer.eval();
  EXPECT_EQ(this->result(layer, dy), inferred) << "a training forward lies between";
}

TYPED_TEST(ModuleRecords, OneModesForwardsDropNoneOfTheOther) {
  const auto trained = this->want(x, dy, true);
  TypeParam layer(4);
  layer(x);
  layer.eval();
  for (int i = 0; i < 100; ++i) {
    layer(other);
  }
  layer.train();
  EXPECT_EQ(this->result(layer, dy), trained);
  expect_throws<ValueError>([&] { layer.backward(dy); },
                            {".backward: got no forward in training mode", "64 in eval mode"});
}

TYPED_TEST(ModuleRecords, LastInFirstOut) {
  TypeParam layer(4);
  layer(x);
  layer(other);
  EXPECT_EQ(layer.pending_backwards(), 2U);
  EXPECT_EQ(this->result(layer, other_dy), this->want(other, other_dy, true));
  EXPECT_EQ(this->result(layer, dy), this->want(x, dy, true));
  EXPECT_EQ(layer.pending_backwards(), 0U);
}

TYPED_TEST(ModuleRecords, TrainingStepsKeepWorking) {
  TypeParam layer(4);
  Tensor batch = x.clone();
  for (std::uint64_t seed = 10; seed < 13; ++seed) {
    batch.copy_(Tensor::randn({6, 4}, seed));
    layer(batch);
    layer.backward(dy);
    Tensor weight = layer.weight.data();
    weight.copy_(Tensor::full({4}, static_cast<double>(seed) / 10));  // an optimizer's step
  }
  Tensor in_place = x.clone();
  TypeParam second(4);
  if constexpr (std::is_same_v<TypeParam, FusedBatchNorm1d>) {
    second(in_place, Tensor(), in_place);
  } else {
    second(in_place, in_place);
  }
  const auto want = this->want(x, dy, true);
  EXPECT_EQ(this->result(second, dy), want) << "the record holds a copy";
}

TYPED_TEST(ModuleRecords, TheNumberKeptCanBeChosen) {
  TypeParam layer(4);
  layer.set_max_saved_forwards(2);
  for (int i = 0; i < 5; ++i) {
    layer(x);
  }
  EXPECT_EQ(layer.pending_backwards(), 2U);
  layer.set_max_saved_forwards(1);
  EXPECT_EQ(layer.pending_backwards(), 1U);
  layer.set_max_saved_forwards(100);
  for (int i = 0; i < 200; ++i) {
    layer(x);
  }
  EXPECT_EQ(layer.pending_backwards(), 100U);
  for (int i = 0; i < 100; ++i) {
    layer.backward(dy);
  }
  expect_throws<ValueError>([&] { layer.backward(dy); }, {"no forward", "100"});
  layer.requires_grad_(false);
  layer.set_max_saved_forwards(0);  // says that dx is not needed
  layer(x);
  layer.eval();
  layer(x);
  EXPECT_EQ(layer.pending_backwards(), 0U);
  expect_throws<ValueError>([&] { layer.backward(dy); }, {"no forward"});
}

TEST(ModuleRecordsOfATree, ReachEveryDescendantOnce) {
  const auto shared = std::make_shared<BatchNorm1d>(4);
  const auto inner = std::make_shared<Sequential>();
  inner->append(shared);
  inner->append(std::make_shared<FusedBatchNorm1d>(4));
  Sequential net;
  net.append(inner);
  net.append(shared);
  net(x);
  EXPECT_EQ(net.pending_backwards(), 3U);
  EXPECT_EQ(net.backward(dy).numel(), 24);
  EXPECT_EQ(net.pending_backwards(), 0U);
  net.set_max_saved_forwards(1);
  net(x);
  EXPECT_EQ(net.pending_backwards(), 2U) << "the shared layer keeps one";
  net.clear_saved_forwards();
  EXPECT_EQ(net.pending_backwards(), 0U);
  {
    const NoGradGuard guard;
    net(x);
  }
  EXPECT_EQ(net.pending_backwards(), 0U);
}

TEST(ModuleRecordsOfATree, EachChildHasItsOwnMode) {
  const auto first = std::make_shared<BatchNorm1d>(4);
  const auto second = std::make_shared<BatchNorm1d>(4);
  Sequential net;
  net.append(first);
  net.append(second);
  first->eval();
  net(x);
  const Doubles want = values(net.backward(dy));
  net(x);
  net.eval();
  net(other);
  net.train();
  first->eval();
  first->backward(other_dy);  // of the forward of `other`
  second->eval();
  second->backward(other_dy);
  second->train();
  EXPECT_EQ(values(net.backward(dy)), want);
}
