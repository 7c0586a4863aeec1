#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::Names;
using fixture::names_of;
using fixture::values;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::ModuleDict;
using halnorm::nn::ModuleList;
using halnorm::nn::Sequential;

namespace {

std::shared_ptr<Module> echo() { return std::make_shared<Echo>(); }

}  // namespace

TEST(Sequential, ForwardAndBackward) {
  const auto first = std::make_shared<BatchNorm1d>(3);
  const auto second = std::make_shared<BatchNorm1d>(3);
  first->weight.data().fill_(2);
  second->weight.data().fill_(3);
  Sequential net({first, echo(), second});
  const Tensor x = Tensor::randn({5, 3}, 1);
  const Tensor dy = Tensor::randn({5, 3}, 2);
  const auto y = values(net(x));
  const auto dx = values(net.backward(dy));
  first->reset_running_stats();
  second->reset_running_stats();
  EXPECT_EQ(y, values((*second)((*first)(x))));
  EXPECT_EQ(dx, values(first->backward(second->backward(dy))));
  EXPECT_EQ(values(Sequential()(x)), values(x)) << "nothing in between";
}

TEST(Sequential, Names) {
  Sequential net({{"norm", std::make_shared<BatchNorm1d>(2)}, {"last", echo()}});
  EXPECT_EQ(names_of(net.named_children()), (Names{"norm", "last"}));
  EXPECT_TRUE(net.state_dict().contains("norm.weight"));
  EXPECT_EQ(net.at(-1)->name(), "Echo");
  net.append(echo());
  EXPECT_EQ(names_of(net.named_children()).back(), "2");
  net.insert(0, std::make_shared<Sequential>());
  EXPECT_EQ(names_of(net.named_children()), (Names{"norm", "last", "2", "3"}));
  EXPECT_EQ(net[0].name(), "Sequential");
  Sequential taken({{"1", echo()}});
  expect_throws<ValueError>([&] { taken.append(echo()); }, {"Sequential", "place 1"});
  EXPECT_EQ(taken.size(), 1U);
}

TEST(ModuleList, HoldsModulesInOrder) {
  ModuleList list({echo(), std::make_shared<BatchNorm1d>(2)});
  EXPECT_EQ(list.size(), 2U);
  list.insert(1, std::make_shared<Sequential>());
  list.insert(-1, std::make_shared<ModuleDict>());
  list.emplace<BatchNorm1d>(4);
  Names found;
  for (const auto& module : list.entries()) {
    found.push_back(module->name());
  }
  EXPECT_EQ(found, (Names{"Echo", "Sequential", "ModuleDict", "BatchNorm1d", "BatchNorm1d"}));
  EXPECT_EQ(names_of(list.named_children()), (Names{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(&list[-1], list.at(4).get());
  EXPECT_TRUE(list.state_dict().contains("3.weight"));
}

TEST(ModuleList, Errors) {
  ModuleList list({echo()});
  expect_throws<ValueError>([&] { static_cast<void>(list[1]); }, {"index 1", "[-1, 1)"});
  expect_throws<ValueError>([&] { static_cast<void>(list[-2]); }, {"index -2"});
  expect_throws<ValueError>([&] { list.insert(2, echo()); }, {"insert", "index 2", "[-1, 1]"});
  expect_throws<ValueError>([&] { list.append(nullptr); }, {"null module"});
  expect_throws<ValueError>([&] { list.extend({echo(), nullptr}); }, {"null module"});
  EXPECT_EQ(list.size(), 1U) << "a list is taken whole or not at all";
  expect_throws<halnorm::Error>([&] { list(Tensor::ones({2, 2})); }, {"ModuleList", "forward"});
}

TEST(ModuleDict, HoldsModulesByName) {
  ModuleDict dict({{"b", echo()}, {"a", std::make_shared<BatchNorm1d>(2)}});
  EXPECT_EQ(dict.keys(), (Names{"b", "a"}));
  dict.insert("b", std::make_shared<Sequential>());
  EXPECT_EQ(dict["b"].name(), "Sequential");
  EXPECT_EQ(dict.keys(), (Names{"b", "a"}));
  EXPECT_TRUE(dict.contains("a") && !dict.contains("c"));
  EXPECT_EQ(dict.pop("b")->name(), "Sequential");
  EXPECT_EQ(dict.size(), 1U);
  dict.clear();
  EXPECT_TRUE(dict.empty());
}

TEST(ModuleDict, Errors) {
  ModuleDict dict({{"a", echo()}});
  expect_throws<ValueError>([&] { static_cast<void>(dict["z"]); }, {"ModuleDict", "key 'z'"});
  expect_throws<ValueError>([&] { dict.pop("z"); }, {"key 'z'"});
  expect_throws<ValueError>([&] { dict.insert("x.y", echo()); }, {"can't contain", "x.y"});
  expect_throws<ValueError>([&] { dict.update({{"new", echo()}, {"", echo()}}); }, {"empty"});
  expect_throws<ValueError>([&] { dict.update({{"new", echo()}, {"n", nullptr}}); }, {"null"});
  EXPECT_EQ(dict.keys(), Names{"a"}) << "all or nothing";
  expect_throws<ValueError>([&] { dict.insert("forward", echo()); }, {"already exists"});
}
