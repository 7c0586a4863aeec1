#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::Names;
using fixture::names_of;
using fixture::Net;
using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;

TEST(Iteration, TheReferencesExample) {
  Net net;
  EXPECT_EQ(names_of(net.named_modules()), (Names{"", "a", "b", "b.0", "b.1", "b.2"}));
  EXPECT_EQ(names_of(net.named_parameters()),
            (Names{"p", "a.weight", "a.bias", "b.0.weight", "b.0.bias", "b.2.weight", "b.2.bias"}));
  EXPECT_EQ(names_of(net.named_children()), (Names{"a", "b"}));
  const Names all = names_of(net.state_dict());
  EXPECT_EQ(all.size(), 23U) << "every name, shared or not";
  EXPECT_EQ((Names{all[0], all[1], all[2], all[3], all[18]}),
            (Names{"p", "q", "buf", "a.weight", "c.weight"}));
}

TEST(Iteration, ValuesGoWithTheNames) {
  Net net;
  EXPECT_EQ(net.parameters().size(), 7U);
  EXPECT_TRUE(net.parameters()[1].is_same(net.a->weight));
  EXPECT_EQ(net.buffers().size(), 10U);
  EXPECT_EQ(net.modules().front(), &net);
  EXPECT_EQ(net.children(), (std::vector<Module*>{net.a.get(), net.b.get()}));
}

TEST(Iteration, PrefixAndRecursion) {
  const Net net;
  EXPECT_EQ(names_of(net.named_parameters("net", false)), Names{"net.p"});
  EXPECT_EQ(names_of(net.named_buffers("net")).at(1), "net.a.running_mean");
  EXPECT_EQ(net.parameters(false).size(), 1U);
  EXPECT_EQ(names_of(net.named_modules("net")).at(3), "net.b.0");
}

TEST(Iteration, MemoIsReadAndFilled) {
  Net net;
  std::unordered_set<const Module*> memo = {net.b.get()};
  EXPECT_EQ(names_of(net.named_modules(memo)), (Names{"", "a"}));
  EXPECT_EQ(memo.size(), 3U);
  EXPECT_TRUE(net.named_modules(memo, "x").empty());
}

TEST(Iteration, SharedTensorsComeOnce) {
  Echo module;
  const Tensor shared = tensor({1});
  module.register_buffer("first", shared);
  module.register_buffer("second", shared);
  module.register_buffer("other", shared.clone(), false);
  EXPECT_EQ(names_of(module.named_buffers()), (Names{"first", "other"}));
}

TEST(Iteration, NamedMembers) {
  const Net net;
  const auto channels = net.named_members([](const Module& module) {
    halnorm::nn::NamedList<Tensor> found;
    if (const auto* layer = dynamic_cast<const BatchNorm1d*>(&module)) {
      found.emplace_back("mean", layer->running_mean);
      found.emplace_back("again", layer->running_mean);
      found.emplace_back("none", Tensor());
    }
    return found;
  });
  EXPECT_EQ(names_of(channels), (Names{"a.mean", "b.0.mean", "b.2.mean"}));
}

TEST(Iteration, ApplyVisitsChildrenFirst) {
  Net net;
  Names visited;
  EXPECT_EQ(&net.apply([&](Module& module) { visited.push_back(module.name()); }), &net);
  EXPECT_EQ(visited,
            (Names{"BatchNorm1d", "BatchNorm1d", "Echo", "BatchNorm1d", "Sequential", "Net"}));
  expect_throws<halnorm::ValueError>([&] { net.apply(nullptr); }, {"Net.apply", "empty function"});
}

TEST(Mode, TrainAndEvalReachAll) {
  Net net;
  EXPECT_EQ(&net.eval(), &net);
  for (const Module* module : net.modules()) {
    EXPECT_FALSE(module->is_training());
  }
  net.train();
  net.a->set_training(false);
  EXPECT_TRUE(net.is_training() && net.b->is_training());
  net.b->set_training(false);
  EXPECT_TRUE((*net.b)[0].is_training()) << "set_training is for one module";
}

TEST(Mode, IsNotPartOfTheState) {
  BatchNorm1d from(2);
  from.eval();
  BatchNorm1d to(2);
  to.load_state_dict(from.state_dict());
  EXPECT_TRUE(to.is_training());
}

TEST(Gradients, ZeroGrad) {
  Net net;
  net.p.set_grad(tensor({1, 2}));
  const Tensor grad = net.p.grad();
  net.zero_grad();
  EXPECT_TRUE(net.p.grad().is_same(grad));
  EXPECT_EQ(values(grad), (std::vector<double>{0, 0}));
  EXPECT_FALSE(net.a->weight.grad().defined());
  net.zero_grad(true);
  EXPECT_FALSE(net.p.grad().defined());
}

TEST(Gradients, RequiresGrad) {
  Net net;
  EXPECT_EQ(&net.requires_grad_(false), &net);
  for (const Parameter& parameter : net.parameters()) {
    EXPECT_FALSE(parameter.requires_grad());
  }
  net.register_parameter("steps", Parameter(Tensor::zeros({1}, DType::Int64), false));
  expect_throws<halnorm::DTypeError>([&] { net.requires_grad_(); }, {"'steps'", "int64"});
  EXPECT_FALSE(net.p.requires_grad()) << "nothing has changed";
}

TEST(Identity, AModuleEqualsItselfAlone) {
  const BatchNorm1d one(2);
  const BatchNorm1d two(2);
  EXPECT_TRUE(one == one);
  EXPECT_TRUE(one != two);
  std::unordered_set<std::size_t> hashes = {std::hash<Module>{}(one), std::hash<Module>{}(two)};
  EXPECT_EQ(hashes.size(), 2U);
  EXPECT_EQ(std::hash<BatchNorm1d>{}(one), std::hash<Module>{}(one));
  EXPECT_FALSE(std::is_copy_constructible_v<BatchNorm1d> || std::is_move_assignable_v<BatchNorm1d>);
}

TEST(Identity, ParameterBytes) {
  Net net;
  EXPECT_EQ(net.parameter_bytes(), 7 * 2 * 4);
  net.to_double();
  EXPECT_EQ(net.parameter_bytes(), 7 * 2 * 8);
}
