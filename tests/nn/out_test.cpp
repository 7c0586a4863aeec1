#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::BatchNorm2d;
using halnorm::nn::BatchNorm3d;
using halnorm::nn::FusedBatchNorm1d;
using halnorm::nn::Module;
using Doubles = std::vector<double>;

namespace {

Tensor times(const Tensor& t, double factor) {
  std::vector<double> scaled = values(t);
  std::ranges::for_each(scaled, [factor](double& value) { value *= factor; });
  return Tensor::from<double>(scaled, t.shape()).to(t.dtype());
}

/// Ten times the normalized input, which it reads again afterwards.
template <class Base>
class Ten : public Base {
 public:
  using Base::Base;
  Tensor forward(const Tensor& x) override {
    const Tensor y = Base::forward(x);
    seen = x.clone();
    return times(y, 10);
  }
  Tensor seen;
};

/// Overrides no function of a call.
class Plain : public BatchNorm1d {
 public:
  using BatchNorm1d::BatchNorm1d;
};

/// Overrides forward_into(), and so writes to `out` directly.
class OwnPath : public Ten<BatchNorm1d> {
 public:
  using Ten::Ten;

 protected:
  Tensor forward_into(const Tensor& x, const Tensor& out) override {
    ++calls;
    return compute(x, out);
  }

 public:
  int calls = 0;
};

template <class Layer>
void expect_out_gets_the_override(const halnorm::Shape& shape) {
  const Tensor x = Tensor::randn(shape, 1);
  Ten<Layer> layer(shape[1]);
  Ten<Layer> twin(shape[1]);
  const Doubles wanted = values(twin(x));
  Tensor out = Tensor::full(shape, -7);
  const Tensor y = layer(x, out);
  EXPECT_TRUE(y.is_same(out));
  EXPECT_EQ(values(out), wanted);
  EXPECT_EQ(layer.num_batches_tracked.template item<std::int64_t>(), 1);

  const Tensor dy = Tensor::randn(shape, 2);
  const Doubles dx = values(twin.backward(dy));
  EXPECT_EQ(values(layer.backward(dy)), dx);

  Tensor in_place = x.clone();
  twin(x);
  EXPECT_TRUE(layer(in_place, in_place).is_same(in_place));
  EXPECT_EQ(values(in_place), wanted);
  EXPECT_EQ(values(layer.seen), values(x)) << "the override reads x after the normalization";
  EXPECT_EQ(values(layer.backward(dy)), values(twin.backward(dy))) << "and so does backward";

  Layer& base = layer;
  Tensor through_base = Tensor::empty(shape);
  base(x, through_base);
  EXPECT_EQ(values(through_base), wanted);
}

}  // namespace

TEST(ForwardIntoOut, IsTheOverridesOfEachLayer) {
  expect_out_gets_the_override<BatchNorm1d>({6, 3});
  expect_out_gets_the_override<BatchNorm1d>({4, 3, 5});
  expect_out_gets_the_override<BatchNorm2d>({4, 3, 2, 2});
  expect_out_gets_the_override<BatchNorm3d>({4, 3, 2, 2, 2});
}

TEST(ForwardIntoOut, WithoutAnOverrideIsTheLayers) {
  const Tensor x = Tensor::randn({6, 3}, 1);
  Plain layer(3);
  BatchNorm1d twin(3);
  Tensor out = Tensor::empty({6, 3});
  EXPECT_TRUE(layer(x, out).is_same(out));
  EXPECT_EQ(values(out), values(twin(x)));
  EXPECT_EQ(values(layer.running_var), values(twin.running_var));
}

TEST(ForwardIntoOut, ASubclassMayHaveAWayOfItsOwn) {
  const Tensor x = Tensor::randn({6, 3}, 1);
  OwnPath layer(3);
  BatchNorm1d twin(3);
  Tensor out = Tensor::empty({6, 3});
  layer(x, out);
  EXPECT_EQ(layer.calls, 1);
  EXPECT_EQ(values(out), values(twin(x)));
}

TEST(ForwardIntoOut, AWrongOutIsRefusedBeforeTheCall) {
  Ten<BatchNorm1d> layer(3);
  const Tensor x = Tensor::randn({6, 3}, 1);
  EXPECT_THROW(layer(x, Tensor::empty({6, 4})), halnorm::ShapeError);
  EXPECT_THROW(layer(x, Tensor::empty({6, 3}, halnorm::DType::Float64)), halnorm::DTypeError);
  EXPECT_THROW(layer(Tensor(), Tensor::empty({6, 3})), halnorm::ValueError);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_FALSE(layer.seen.defined());
}

TEST(ForwardIntoOut, HooksReplaceTheResultAndNotOut) {
  Ten<BatchNorm1d> layer(1, {.eps = 0});
  layer.register_forward_hook([](Module&, const Tensor&, const Tensor&) { return tensor({9}); });
  Tensor out = Tensor::zeros({2, 1});
  EXPECT_EQ(values(layer(tensor({1, 3}, {2, 1}), out)), Doubles{9});
  EXPECT_EQ(values(out), (Doubles{-10, 10}));
}

namespace {

/// Overrides one of the two forwards of a fused layer.
class FusedOfX : public FusedBatchNorm1d {
 public:
  using FusedBatchNorm1d::forward;
  using FusedBatchNorm1d::FusedBatchNorm1d;
  Tensor forward(const Tensor& x) override { return times(FusedBatchNorm1d::forward(x), 10); }
};

class FusedOfBoth : public FusedBatchNorm1d {
 public:
  using FusedBatchNorm1d::forward;
  using FusedBatchNorm1d::FusedBatchNorm1d;
  Tensor forward(const Tensor& x, const Tensor& addend) override {
    return times(FusedBatchNorm1d::forward(x, addend), 10);
  }
};

/// The results of m(...) without an addend and with one; m has one channel.
template <class Layer>
void expect_fused(const Doubles& plain, const Doubles& added) {
  const Tensor x = tensor({-1, 1}, {2, 1});
  const Tensor addend = tensor({3, 3}, {2, 1});
  Layer layer(1, {.eps = 0});
  EXPECT_EQ(values(layer(x)), plain);
  EXPECT_EQ(values(layer(x, Tensor())), plain);
  EXPECT_EQ(values(layer(x, addend)), added);
  Tensor out = Tensor::empty({2, 1});
  EXPECT_TRUE(layer(x, Tensor(), out).is_same(out));
  EXPECT_EQ(values(out), plain);
  EXPECT_TRUE(layer(x, addend, out).is_same(out));
  EXPECT_EQ(values(out), added);
  halnorm::nn::BatchNorm& base = layer;
  base(x, out);
  EXPECT_EQ(values(out), plain);
  for (const bool into_x : {true, false}) {
    const Tensor own_x = x.clone();
    const Tensor own_addend = addend.clone();
    const Tensor& target = into_x ? own_x : own_addend;
    layer(own_x, own_addend, target);
    EXPECT_EQ(values(target), added) << (into_x ? "in place of x" : "in place of the addend");
  }
}

}  // namespace

TEST(ForwardIntoOut, IsTheOverridesOfFusedLayers) {
  expect_fused<FusedBatchNorm1d>({0, 1}, {2, 4});
  expect_fused<FusedOfX>({0, 10}, {2, 4});
  expect_fused<FusedOfBoth>({0, 10}, {20, 40});
}

namespace {

/// Can be called with `out`, although it does not override forward_into().
class Doubler : public Module {
 public:
  Tensor operator()(const Tensor& x, const Tensor& out) { return call(x, out); }
  Tensor forward(const Tensor& x) override { return undefined ? Tensor() : times(x, 2); }
  bool undefined = false;
};

}  // namespace

TEST(ForwardIntoOut, OfAnyModule) {
  Doubler module;
  Tensor x = tensor({1, 2});
  Tensor out = Tensor::zeros({2});
  EXPECT_TRUE(module(x, out).is_same(out));
  EXPECT_EQ(values(out), (Doubles{2, 4}));
  EXPECT_EQ(values(module(x, x)), (Doubles{2, 4}));
  EXPECT_EQ(values(module(x, Tensor())), (Doubles{4, 8}));
  EXPECT_THROW(module(x, Tensor::zeros({3})), halnorm::ShapeError);
  EXPECT_THROW(module(x, Tensor::zeros({2}, halnorm::DType::Float64)), halnorm::DTypeError);
  module.undefined = true;
  EXPECT_THROW(module(x, out), halnorm::ValueError);
}
