#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/record_fixture.h"
#include "support/throws.h"

/// @file
/// Tests which calls count as writes, and that a backward refuses tensors that were written since
/// its forward.

using halnorm::DType;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::FusedBatchNorm1d;
using halnorm::nn::Sequential;

namespace {

const Tensor x = Tensor::randn({6, 4}, 1);
const Tensor dy = Tensor::randn({6, 4}, 3);

template <class Layer>
class WriteCount : public RecordFixture<Layer> {};
using Layers = ::testing::Types<BatchNorm1d, FusedBatchNorm1d>;

/// A write through the API to all elements of a tensor.
using Write = std::pair<const char*, std::function<void(Tensor)>>;

const std::vector<Write>& writes() {
  static const std::vector<Write> all = {
      {"copy_", [](Tensor t) { t.copy_(t.clone()); }},
      {"fill_", [](Tensor t) { t.fill_(1); }},
      {"zero_", [](Tensor t) { t.zero_(); }},
      {"set_data", [](Tensor t) { t.set_data(t.clone()); }},
      {"view", [](Tensor t) { t.narrow(0, 0, 1).fill_(3); }},
      {"transposed view",
       [](Tensor t) {
         t.reshape({1, t.numel()}).transpose(0, 1).zero_();
       }},
      {"gradient",
       [](Tensor t) {
         const halnorm::Parameter p(t.clone());
         p.set_grad(t);
         p.accumulate_grad(t.clone());
       }},
  };
  return all;
}

}  // namespace

TYPED_TEST_SUITE(WriteCount, Layers);

TYPED_TEST(WriteCount, AnInputThatWasWrittenIsRefused) {
  for (const bool training : {true, false}) {
    for (const auto& [name, write] : writes()) {
      SCOPED_TRACE(name);
      TypeParam layer(4);
      layer.train(training);
      const Tensor input = x.clone();
      layer(input);
      write(input);
      expect_throws<ValueError>([&] { layer.backward(dy); },
                                {layer.name() + ".backward: x was written since its forward"});
      EXPECT_FALSE(layer.weight.grad().defined() || layer.bias.grad().defined());
      EXPECT_EQ(layer.pending_backwards(), 1U);
    }
  }
}

TYPED_TEST(WriteCount, AWeightThatWasWrittenIsRefused) {
  for (const bool training : {true, false}) {
    for (const auto& [name, write] : writes()) {
      SCOPED_TRACE(name);
      TypeParam layer(4);
      layer.train(training);
      layer(x);
      write(layer.weight.data());
      expect_throws<ValueError>([&] { layer.backward(dy); },
                                {".backward: weight was written since its forward"});
      EXPECT_FALSE(layer.bias.grad().defined());
    }
  }
  const std::vector<std::pair<const char*, std::function<void(TypeParam&)>>> of_modules = {
      {"load_state_dict", [](TypeParam& l) { l.load_state_dict(TypeParam(4).state_dict()); }},
      {"reset_parameters", [](TypeParam& l) { l.reset_parameters(); }},
      {"to", [](TypeParam& l) { l.to(DType::Float64); }},
  };
  for (const auto& [name, write] : of_modules) {
    SCOPED_TRACE(name);
    TypeParam layer(4);
    layer(x);
    write(layer);
    expect_throws<ValueError>([&] { layer.backward(dy); }, {"weight was written"});
    layer.clear_saved_forwards();
    EXPECT_EQ(layer.pending_backwards(), 0U);
  }
}

TYPED_TEST(WriteCount, FunctionsCountTheirOutputs) {
  const Tensor ones = Tensor::ones({4});
  const Tensor none;
  const std::vector<Write> functions = {
      {"train", [&](Tensor t) { halnorm::functional::batch_norm_train(x, ones, none, 0, t); }},
      {"infer",
       [&](Tensor t) {
         (void)halnorm::functional::batch_norm_infer(x, ones, ones, none, none, 0, t);
       }},
      {"in place", [&](Tensor t) { halnorm::functional::batch_norm_train(t, ones, none, 0, t); }},
      {"backward",
       [&](Tensor t) {
         const Tensor s = Tensor::ones({4}, DType::Float64);
         halnorm::functional::batch_norm_backward(dy, x, ones, s, s, t);
       }},
      {"another layer", [&](Tensor t) { BatchNorm1d(4)(x, t); }},
      {"a fused layer", [&](Tensor t) { FusedBatchNorm1d(4)(x, none, t); }},
      {"running statistics",
       [&](Tensor t) {
         Tensor mean = t.narrow(0, 0, 1).reshape({4});
         Tensor var = t.narrow(0, 1, 1).reshape({4});
         halnorm::functional::batch_norm_train_update(x, mean, var, none, none, 0.1, 1);
       }},
  };
  for (const auto& [name, write] : functions) {
    SCOPED_TRACE(name);
    TypeParam layer(4);
    const Tensor input = Tensor::randn({6, 4}, 5);
    layer(input);
    write(input);
    expect_throws<ValueError>([&] { layer.backward(dy); }, {"x was written"});
  }
}

TYPED_TEST(WriteCount, ReadingAndOtherTensorsAreNoWrites) {
  TypeParam layer(4);
  const Tensor input = x.clone();
  layer(input);
  (void)input.to_vector<float>();
  Tensor copy = input.clone();
  copy.fill_(7);
  layer.bias.data().fill_(0);
  layer.running_mean.fill_(3);
  layer.reset_running_stats();
  layer.to(DType::Float32);  // changes nothing
  layer(input, copy);        // reads input
  layer.weight.set_grad(Tensor::zeros({4}));
  layer.zero_grad(true);
  layer.backward(dy);
  EXPECT_EQ(this->result(layer, dy), this->want(x, dy, true));
}

TYPED_TEST(WriteCount, AWrittenOutputMattersWhereItIsReadAgain) {
  TypeParam layer(4);
  Tensor y = layer(x);
  y.fill_(1);
  if (std::is_same_v<TypeParam, FusedBatchNorm1d>) {
    expect_throws<ValueError>([&] { layer.backward(dy); }, {"y was written since its forward"});
  } else {
    EXPECT_EQ(this->result(layer, dy), this->want(x, dy, true));
  }
}

TEST(WriteCountOfATree, AWriteInALaterLayerIsFoundThere) {
  Sequential net;
  net.append(std::make_shared<BatchNorm1d>(4));
  net.append(std::make_shared<BatchNorm1d>(4));
  const Tensor input = x.clone();
  net(input);
  Tensor(input).zero_();
  expect_throws<ValueError>([&] { net.backward(dy); }, {"0: BatchNorm1d.backward: x was written"});
}
