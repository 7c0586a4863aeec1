#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::values;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::ModuleDict;
using halnorm::nn::ModuleList;
using halnorm::nn::Sequential;
using Doubles = std::vector<double>;

namespace {

/// All values that a call of a layer may change.
struct State {
  std::int64_t count;
  Doubles mean, var, weight_grad;

  explicit State(const BatchNorm1d& layer)
      : count(layer.num_batches_tracked.item<std::int64_t>()),
        mean(values(layer.running_mean)),
        var(values(layer.running_var)) {
    if (layer.weight.grad().defined()) {
      weight_grad = values(layer.weight.grad());
    }
  }
  bool operator==(const State& other) const = default;
};

/// Three layers; the second refuses the outputs of the first.
struct Chain {
  std::shared_ptr<BatchNorm1d> first = std::make_shared<BatchNorm1d>(2);
  std::shared_ptr<BatchNorm1d> second;
  std::shared_ptr<BatchNorm1d> third = std::make_shared<BatchNorm1d>(2);
  Sequential all;

  explicit Chain(std::int64_t channels)
      : second(std::make_shared<BatchNorm1d>(channels)), all({first, second, third}) {}
};

const Tensor input = Tensor::randn({6, 2}, 1);

Tensor throws_in_hook(Module& /*module*/, const Tensor& /*x*/, const Tensor& /*y*/) {
  throw ValueError("the hook's");
}

}  // namespace

TEST(CallThatThrows, OfALayerHasChangedNothing) {
  BatchNorm1d layer(2);
  layer(input);
  const State before(layer);
  EXPECT_THROW(layer(Tensor::randn({6, 3}, 1)), halnorm::ShapeError);
  EXPECT_THROW(layer(Tensor::zeros({6, 2}, halnorm::DType::Int64)), halnorm::DTypeError);
  EXPECT_THROW(layer(Tensor::randn({1, 2}, 1)), halnorm::Error);
  EXPECT_THROW(layer(input, Tensor::empty({6, 3})), halnorm::ShapeError);
  EXPECT_THROW(layer.backward(Tensor::ones({6, 3})), halnorm::ShapeError);
  EXPECT_TRUE(State(layer) == before);
  layer.backward(Tensor::ones({6, 2}));
  EXPECT_THROW(layer.backward(Tensor::ones({6, 2})), ValueError) << "no other record was made";
}

TEST(CallThatThrows, OfAContainerHasRunTheLayersBefore) {
  Chain chain(3);
  const State untouched(*chain.third);
  expect_throws<halnorm::ShapeError>([&] { chain.all(input); }, {"1: BatchNorm1d: "});
  EXPECT_EQ(chain.first->num_batches_tracked.item<std::int64_t>(), 1);
  BatchNorm1d twin(2);
  twin(input);
  EXPECT_TRUE(State(*chain.first) == State(twin)) << "a whole forward";
  EXPECT_EQ(chain.second->num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_TRUE(State(*chain.third) == untouched);
  EXPECT_NO_THROW(chain.first->backward(Tensor::ones({6, 2}))) << "its record is there";
  EXPECT_THROW(chain.second->backward(Tensor::ones({6, 3})), ValueError);
  EXPECT_THROW(chain.third->backward(Tensor::ones({6, 2})), ValueError);
}

TEST(CallThatThrows, OfABackwardHasRunTheLayersBehind) {
  Chain chain(2);
  chain.all(input);
  chain.second->clear_saved_forwards();
  EXPECT_THROW(chain.all.backward(Tensor::ones({6, 2})), ValueError);
  EXPECT_TRUE(chain.third->weight.grad().defined());
  EXPECT_THROW(chain.third->backward(Tensor::ones({6, 2})), ValueError) << "its record is used";
  EXPECT_FALSE(chain.second->weight.grad().defined());
  EXPECT_FALSE(chain.first->weight.grad().defined());
  EXPECT_NO_THROW(chain.first->backward(Tensor::ones({6, 2}))) << "its record is there";
}

TEST(CallThatThrows, InAPreHookHasNotRunTheLayer) {
  Chain chain(2);
  const State untouched(*chain.second);
  chain.second->register_forward_pre_hook(
      [](Module&, const Tensor&) -> Tensor { throw ValueError("the hook's"); });
  expect_throws<ValueError>([&] { chain.all(input); }, {"1: the hook's"});
  EXPECT_EQ(chain.first->num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_TRUE(State(*chain.second) == untouched);
  EXPECT_THROW(chain.second->backward(Tensor::ones({6, 2})), ValueError);
}

TEST(CallThatThrows, InAHookHasRunTheLayer) {
  Chain chain(2);
  const State untouched(*chain.third);
  chain.second->register_forward_hook(throws_in_hook);
  expect_throws<ValueError>([&] { chain.all(input); }, {"1: the hook's"});
  EXPECT_EQ(chain.second->num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_NO_THROW(chain.second->backward(Tensor::ones({6, 2}))) << "its record is there";
  EXPECT_TRUE(State(*chain.third) == untouched);
}

TEST(CallThatThrows, OfApplyHasCalledWhatCameBefore) {
  Chain chain(2);
  const auto fail_at_second = [&](Module& module) {
    if (&module == chain.second.get()) {
      throw ValueError("the function's");
    }
    module.set_training(false);
  };
  EXPECT_THROW(chain.all.apply(fail_at_second), ValueError);
  EXPECT_FALSE(chain.first->is_training());
  EXPECT_TRUE(chain.second->is_training() && chain.third->is_training());
  EXPECT_TRUE(chain.all.is_training());
}

TEST(CallThatThrows, OfARegistrationHasChangedNothing) {
  ModuleList list({std::make_shared<Echo>()});
  EXPECT_THROW(list.extend({std::make_shared<Echo>(), nullptr}), ValueError);
  EXPECT_EQ(list.size(), 1U);
  ModuleDict dict({{"a", std::make_shared<Echo>()}});
  const auto a = dict.at("a");
  EXPECT_THROW(dict.update({{"a", std::make_shared<Echo>()}, {"b", nullptr}}), ValueError);
  EXPECT_THROW(dict.update({{"a", std::make_shared<Echo>()}, {"b.c", a}}), ValueError);
  EXPECT_EQ(dict.at("a"), a);
  EXPECT_EQ(dict.size(), 1U);
}
