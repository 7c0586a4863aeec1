#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::names_of;
using fixture::Net;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;

namespace {

class WithMember : public Echo {
 public:
  WithMember() { bind_module("norm", norm); }
  BatchNorm1d norm{2};

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<WithMember>();
  }
};

class Unclonable : public Module {};

}  // namespace

TEST(Clone, IsDeep) {
  BatchNorm1d layer(2, {.eps = 1e-3, .momentum = std::nullopt});
  layer(Tensor::randn({4, 2}, 1));
  layer.weight.set_grad(tensor({1, 1}));
  layer.bias.set_requires_grad(false);
  layer.set_eps(0.5);
  layer.eval();
  const auto copy = std::dynamic_pointer_cast<BatchNorm1d>(layer.clone());
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->str(), layer.str());
  EXPECT_FALSE(copy->is_training());
  EXPECT_EQ(values(copy->running_mean), values(layer.running_mean));
  EXPECT_EQ(copy->num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_FALSE(copy->weight.grad().defined());
  EXPECT_TRUE(copy->weight.requires_grad());
  EXPECT_FALSE(copy->bias.requires_grad());
  copy->running_mean.fill_(9);
  copy->weight.data().fill_(9);
  EXPECT_NE(values(layer.running_mean)[0], 9);
  EXPECT_EQ(values(layer.weight.data())[0], 1);
  EXPECT_THROW(copy->backward(Tensor::ones({4, 2})), halnorm::ValueError)
      << "forwards stay with the original";
}

TEST(Clone, KeepsWhatWasAddedAndTakenAway) {
  BatchNorm1d layer(2);
  layer.weight = Parameter();
  layer.unregister_buffer("running_var");
  layer.register_buffer("extra", tensor({5}), false);
  layer.add_module("none", nullptr);
  const auto copy = std::dynamic_pointer_cast<BatchNorm1d>(layer.clone());
  EXPECT_FALSE(copy->weight.defined());
  EXPECT_FALSE(copy->running_var.defined() || copy->has("running_var"));
  EXPECT_TRUE(copy->has("weight") && copy->has("none"));
  EXPECT_EQ(names_of(copy->named_buffers()), names_of(layer.named_buffers()));
  EXPECT_FALSE(copy->state_dict().contains("extra"));
}

TEST(Clone, SharingStaysInsideTheCopy) {
  Net net;
  const auto copy = std::dynamic_pointer_cast<Net>(net.clone());
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(names_of(copy->state_dict()), names_of(net.state_dict()));
  EXPECT_EQ(&copy->get_submodule("a"), &copy->get_submodule("c"));
  EXPECT_TRUE(copy->get_parameter("p").is_same(copy->get_parameter("q")));
  EXPECT_FALSE(copy->get_parameter("p").is_same(net.p));
  EXPECT_NE(&copy->get_submodule("b.0"), &net.get_submodule("b.0"));
}

TEST(Clone, MembersOfTheClassAreFilled) {
  WithMember module;
  module.norm.running_mean.fill_(4);
  module.norm.eval();
  const auto copy = std::dynamic_pointer_cast<WithMember>(module.clone());
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(&copy->get_submodule("norm"), &copy->norm);
  EXPECT_EQ(values(copy->norm.running_mean), (std::vector<double>{4, 4}));
  EXPECT_FALSE(copy->norm.is_training());
}

TEST(Clone, DropsHooks) {
  Echo module;
  module.register_forward_hook([](Module&, const Tensor&, const Tensor&) { return tensor({9}); });
  EXPECT_EQ(values((*module.clone())(tensor({1}))), std::vector<double>{1});
}

TEST(Clone, AClassWithoutNewInstanceSaysSo) {
  expect_throws<halnorm::Error>([] { static_cast<void>(Unclonable().clone()); },
                                {"Unclonable.clone", "new_instance"});
}
