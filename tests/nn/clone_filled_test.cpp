#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::names_of;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::ModuleDict;
using halnorm::nn::ModuleList;
using halnorm::nn::Sequential;
using Doubles = std::vector<double>;

namespace {

/// Holds its entries by members, as docs/module.md recommends.
class Block : public Module {
 public:
  Block() {
    norm = register_module("norm", std::make_shared<BatchNorm1d>(2));
    body = register_module("body", std::make_shared<Sequential>());
    body->append(norm);  // also met below "body"
    body->emplace<BatchNorm1d>(2);
    w = register_parameter("w", Parameter(Tensor::ones({2})));
    tied = register_parameter("tied", w);
    table = register_buffer("table", Tensor::zeros({2}));
    bind_parameter("scale", scale);
    bind_module("last", last);
  }
  Tensor forward(const Tensor& x) override { return last((*body)(x)); }

  std::shared_ptr<BatchNorm1d> norm;
  std::shared_ptr<Sequential> body;
  Parameter w, tied, scale{Tensor::ones({2})};
  Tensor table;
  BatchNorm1d last{2};

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Block>();
  }
};

/// Holds a block, at the second level.
class Holder : public Module {
 public:
  Holder() {
    block = register_module("block", std::make_shared<Block>());
    list = register_module("list", std::make_shared<ModuleList>());
    list->append(block->norm);
    dict = register_module("dict", std::make_shared<ModuleDict>());
    dict->insert("x", std::make_shared<BatchNorm1d>(2));
  }
  std::shared_ptr<Block> block;
  std::shared_ptr<ModuleList> list;
  std::shared_ptr<ModuleDict> dict;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Holder>();
  }
};

template <class M>
std::shared_ptr<M> clone_of(const M& module) {
  auto copy = std::dynamic_pointer_cast<M>(module.clone());
  EXPECT_NE(copy, nullptr);
  return copy;
}

/// Members and entries of a copy are one.
void expect_members_registered(const Block& copy) {
  EXPECT_EQ(&copy.get_submodule("norm"), copy.norm.get());
  EXPECT_EQ(&copy.get_submodule("body"), copy.body.get());
  EXPECT_EQ(&copy.get_submodule("body.0"), copy.norm.get());
  EXPECT_EQ(&copy.get_submodule("last"), &copy.last);
  EXPECT_TRUE(copy.get_parameter("w").is_same(copy.w));
  EXPECT_TRUE(copy.get_parameter("tied").is_same(copy.w));
  EXPECT_TRUE(copy.get_parameter("scale").is_same(copy.scale));
  EXPECT_TRUE(copy.get_buffer("table").is_same(copy.table));
}

}  // namespace

TEST(CloneFills, MembersOfEveryKindOfRegistration) {
  Block block;
  block(Tensor::randn({8, 2}, 1));
  block.norm->set_eps(0.5);
  block.last.set_momentum(0.25);
  block.w.data().fill_(3);
  block.w.set_requires_grad(false);
  block.table.fill_(4);
  block.scale.data().fill_(5);
  block.eval();
  const auto copy = clone_of(block);
  expect_members_registered(*copy);
  EXPECT_EQ(copy->str(), block.str()) << "eps and momentum as well";
  EXPECT_EQ(names_of(copy->state_dict()), names_of(block.state_dict()));
  EXPECT_EQ(values(copy->w.data()), (Doubles{3, 3}));
  EXPECT_FALSE(copy->w.requires_grad());
  EXPECT_EQ(values(copy->table), (Doubles{4, 4}));
  EXPECT_EQ(values(copy->scale.data()), (Doubles{5, 5}));
  EXPECT_FALSE(copy->norm->is_training());
  EXPECT_EQ(values(copy->norm->running_mean), values(block.norm->running_mean));
  const Tensor x = Tensor::randn({4, 2}, 2);
  EXPECT_EQ(values((*copy)(x)), values(block(x)));
  copy->w.data().fill_(9);
  copy->norm->running_mean.fill_(9);
  EXPECT_EQ(values(block.w.data()), (Doubles{3, 3})) << "the copy has tensors of its own";
  EXPECT_NE(values(block.norm->running_mean)[0], 9);
}

TEST(CloneFills, ConvertedTensors) {
  Block block;
  block.to_double();
  const auto copy = clone_of(block);
  expect_members_registered(*copy);
  EXPECT_EQ(copy->w.data().dtype(), halnorm::DType::Float64);
  EXPECT_EQ(copy->norm->running_var.dtype(), halnorm::DType::Float64);
}

TEST(CloneFills, ContainersAndNestedClasses) {
  Holder holder;
  holder.block->norm->running_mean.fill_(4);
  holder.dict->insert("y", std::make_shared<Block>());
  holder.list->emplace<Block>();
  const auto copy = clone_of(holder);
  EXPECT_EQ(&copy->get_submodule("block"), copy->block.get());
  expect_members_registered(*copy->block);
  EXPECT_EQ(copy->list->at(0), copy->block->norm) << "shared as in the source";
  EXPECT_EQ(values(copy->block->norm->running_mean), (Doubles{4, 4}));
  EXPECT_EQ(&copy->get_submodule("dict"), copy->dict.get());
  expect_members_registered(dynamic_cast<const Block&>(copy->get_submodule("dict.y")));
  expect_members_registered(dynamic_cast<const Block&>(copy->get_submodule("list.1")));
  EXPECT_EQ(names_of(copy->named_modules()), names_of(holder.named_modules()));
}

TEST(CloneFills, AChildThatIsMetFirstElsewhere) {
  Sequential outer;
  const auto block = std::make_shared<Block>();
  outer.append(block->norm);  // before the block that holds it
  outer.append(block);
  const auto copy = clone_of(outer);
  const auto inner = std::dynamic_pointer_cast<Block>(copy->at(1));
  EXPECT_EQ(copy->at(0).get(), &inner->get_submodule("norm"));
  EXPECT_EQ(&inner->get_submodule("body.0"), &inner->get_submodule("norm"));
}

TEST(CloneFills, WhatTheSourceHasNotIsRemoved) {
  Block block;
  block.erase("norm");
  block.set("body", std::shared_ptr<Module>());
  block.erase("w");
  block.erase("table");
  block.erase("scale");
  block.erase("last");
  const auto copy = clone_of(block);
  EXPECT_FALSE(copy->has("norm") || copy->has("w") || copy->has("table") || copy->has("scale"));
  EXPECT_FALSE(copy->has("last"));
  EXPECT_TRUE(copy->has("body") && copy->named_children().empty());
  EXPECT_FALSE(copy->scale.defined());
  copy->scale = Parameter(tensor({7}));
  EXPECT_TRUE(copy->get_parameter("scale").is_same(copy->scale)) << "still bound";
  EXPECT_TRUE(block.state_dict().contains("tied"));
}

TEST(CloneFills, TiesAreTheSourcesAndNotTheClasses) {
  Block block;
  block.set("tied", Parameter(tensor({8, 8})));
  block.set("norm", block.body->at(1));
  const auto copy = clone_of(block);
  EXPECT_FALSE(copy->get_parameter("tied").is_same(copy->w));
  EXPECT_EQ(values(copy->get_parameter("tied").data()), (Doubles{8, 8}));
  EXPECT_EQ(values(copy->w.data()), (Doubles{1, 1}));
  EXPECT_EQ(&copy->get_submodule("norm"), &copy->get_submodule("body.1"));
  EXPECT_NE(&copy->get_submodule("norm"), &copy->get_submodule("body.0"));
}

TEST(CloneFills, AReplacedChildOfAnotherClass) {
  Block block;
  block.set("norm", std::make_shared<Echo>());
  const auto copy = clone_of(block);
  EXPECT_EQ(copy->get_submodule("norm").name(), "Echo");
  EXPECT_NE(&copy->get_submodule("norm"), &block.get_submodule("norm"));
}

namespace {

/// Passes on the source's children and tensors instead of making its own.
class HandsOn : public Sequential {
 public:
  explicit HandsOn(const std::vector<std::shared_ptr<Module>>& modules, const Parameter& parameter)
      : Sequential(modules) {
    register_parameter("w", parameter);
  }

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<HandsOn>(entries(), get_parameter("w"));
  }
};

}  // namespace

TEST(CloneFills, NothingOfTheSourceIsShared) {
  HandsOn source({std::make_shared<BatchNorm1d>(2)}, Parameter(tensor({1})));
  const auto copy = clone_of(source);
  EXPECT_NE(copy->at(0), source.at(0));
  EXPECT_FALSE(copy->get_parameter("w").is_same(source.get_parameter("w")));
  copy->get_parameter("w").data().fill_(5);
  EXPECT_EQ(values(source.get_parameter("w").data()), Doubles{1});
}

namespace {

class ScaledNorm : public BatchNorm1d {
 public:
  using BatchNorm1d::BatchNorm1d;
};
class MySequential : public Sequential {};
class MyList : public ModuleList {};
class MyDict : public ModuleDict {};
class MyEcho : public Echo {};

class ReturnsNull : public Module {
 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override { return nullptr; }
};

class ReturnsItself : public Module, public std::enable_shared_from_this<ReturnsItself> {
 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::const_pointer_cast<ReturnsItself>(shared_from_this());
  }
};

class ReturnsOneForAll : public Module {
 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    static const auto one = std::make_shared<ReturnsOneForAll>();
    return one;
  }
};

void expect_refused(const Module& module, const std::string& name, const std::string& got) {
  expect_throws<halnorm::Error>([&] { static_cast<void>(module.clone()); },
                                {name + ".clone", got, "override new_instance() in", name});
  Sequential outer({std::make_shared<Echo>()});
  outer.add_module("inner",
                   std::shared_ptr<Module>(std::shared_ptr<void>(), const_cast<Module*>(&module)));
  EXPECT_THROW(static_cast<void>(outer.clone()), halnorm::Error) << name << " within a container";
}

}  // namespace

TEST(Clone, AnotherClassThanTheSourcesIsRefused) {
  expect_refused(ScaledNorm(2), "ScaledNorm", "a halnorm::nn::BatchNorm1d");
  expect_refused(MySequential(), "MySequential", "a halnorm::nn::Sequential");
  expect_refused(MyList(), "MyList", "a halnorm::nn::ModuleList");
  expect_refused(MyDict(), "MyDict", "a halnorm::nn::ModuleDict");
  expect_refused(MyEcho(), "MyEcho", "a fixture::Echo");
}

TEST(Clone, NewInstanceMakesSomethingNew) {
  expect_refused(ReturnsNull(), "ReturnsNull", "null");
  expect_refused(*std::make_shared<ReturnsItself>(), "ReturnsItself", "in use");
  Sequential two({std::make_shared<ReturnsOneForAll>(), std::make_shared<ReturnsOneForAll>()});
  expect_throws<halnorm::Error>([&] { static_cast<void>(two.clone()); }, {"in use"});
}
