#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::Module;
using halnorm::nn::ModuleDict;
using halnorm::nn::ModuleList;
using halnorm::nn::Sequential;

namespace {

constexpr int very_deep = 30000;
constexpr std::size_t deep = 2000;  // for text, which grows with the square of the depth
constexpr int wide = 30000;

/// Builds a tree from the innermost module to the outermost, so that each added module is as deep
/// as the tree so far.
std::shared_ptr<Sequential> built_outwards(int depth) {
  auto tree = std::make_shared<Sequential>();
  for (int i = 1; i < depth; ++i) {
    auto outer = std::make_shared<Sequential>();
    outer->append(tree);
    tree = outer;
  }
  return tree;
}

std::shared_ptr<Sequential> built_inwards(int depth) {
  auto tree = std::make_shared<Sequential>();
  Module* innermost = tree.get();
  for (int i = 1; i < depth; ++i) {
    auto inner = std::make_shared<Sequential>();
    innermost->add_module("0", inner);
    innermost = inner.get();
  }
  return tree;
}

/// A module that has a child before the tree is added to it.
class Wrapper : public Module {
 public:
  Wrapper() { body = register_module("body", std::make_shared<Sequential>()); }
  std::shared_ptr<Sequential> body;
};

std::shared_ptr<Module> built_around(int depth) {
  std::shared_ptr<Module> tree = std::make_shared<Wrapper>();
  for (int i = 2; i < depth; i += 2) {
    auto outer = std::make_shared<Wrapper>();
    outer->body->append(tree);
    tree = outer;
  }
  return tree;
}

/// A tree with a parameter in each level.
std::shared_ptr<Sequential> with_parameters(int depth) {
  auto tree = built_outwards(depth);
  for (Module* module : tree->modules()) {
    module->register_parameter("p", Parameter(tensor({1})));
  }
  return tree;
}

bool reaches(const Module& from, const Module& to) {
  const auto below = from.named_modules();
  return std::any_of(below.begin(), below.end(),
                     [&to](const auto& entry) { return entry.second == &to; });
}

}  // namespace

TEST(DeepTree, IsBuiltWalkedAndDestroyedInLinearTime) {
  for (const auto& tree :
       {std::shared_ptr<Module>(built_outwards(very_deep)),
        std::shared_ptr<Module>(built_inwards(very_deep)), built_around(very_deep)}) {
    EXPECT_EQ(tree->modules().size(), std::size_t{very_deep});
    tree->eval();
    int visited = 0;
    tree->apply([&](const Module& module) { visited += module.is_training() ? 0 : 1; });
    EXPECT_EQ(visited, very_deep);
    expect_throws<ValueError>([&] { tree->modules().back()->add_module("top", tree); },
                              {"'top'", "contains the module"});
  }
}

TEST(DeepTree, TensorsAreReachedAndCopied) {
  const auto tree = with_parameters(very_deep);
  EXPECT_EQ(tree->parameters().size(), std::size_t{very_deep});
  tree->requires_grad_(false);
  tree->zero_grad();
  const auto copy = tree->clone();
  EXPECT_EQ(copy->modules().size(), std::size_t{very_deep});
  EXPECT_EQ(copy->parameter_bytes(), 4 * very_deep);
}

TEST(DeepTree, HasNamesStatesAndText) {
  const auto tree = with_parameters(static_cast<int>(deep));
  EXPECT_EQ(tree->named_modules().back().first.size(), 2 * deep - 3);
  EXPECT_EQ(tree->named_parameters().size(), deep);
  StateDict dict = tree->state_dict();
  EXPECT_EQ(dict.size(), deep);
  dict.set("0.0.stray", tensor({1}));
  const auto result = tree->load_state_dict(dict, false);
  EXPECT_EQ(result.unexpected_keys, fixture::Names{"0.0.stray"});
  EXPECT_TRUE(result.missing_keys.empty());
  tree->to_double();
  EXPECT_EQ(tree->parameters().back().data().dtype(), halnorm::DType::Float64);
  std::size_t text = std::string("Sequential(\n)").size();
  for (std::size_t level = 1; level < deep - 1; ++level) {
    text += 4 * level + std::string("(0): Sequential(\n)\n").size();
  }
  text += 2 * (deep - 1) + std::string("(0): Sequential()\n").size();
  EXPECT_EQ(tree->str().size(), text);
  const std::string path(tree->named_modules().back().first);
  EXPECT_EQ(&tree->get_submodule(path), tree->modules().back());
}

TEST(WideTree, IsHandledInLinearTime) {
  ModuleList list;
  for (int i = 0; i < wide; ++i) {
    list.emplace<Echo>()->register_parameter("p", Parameter(tensor({1})));
  }
  std::size_t distinct = 0;
  for (int i = 0; i < wide; ++i) {
    distinct += &list[i] != &list[0] ? 1 : 0;
  }
  EXPECT_EQ(distinct, std::size_t{wide - 1});
  EXPECT_EQ(list.children().size(), std::size_t{wide});
  StateDict dict = list.state_dict();
  EXPECT_EQ(dict.size(), std::size_t{wide});
  dict.set("0.stray", tensor({1}));
  dict.set("stray", tensor({1}));
  EXPECT_EQ(list.load_state_dict(dict, false).unexpected_keys,
            (fixture::Names{"stray", "0.stray"}));
  EXPECT_EQ(list.clone()->parameters().size(), std::size_t{wide});
  EXPECT_GT(list.str().size(), std::size_t{wide});
  list.to_double();
}

TEST(WideTree, OfOneModuleAndByKey) {
  const auto shared = std::make_shared<Echo>();
  ModuleDict dict;
  for (int i = 0; i < wide; ++i) {
    dict.insert("key" + std::to_string(i), shared);
  }
  EXPECT_EQ(dict.modules().size(), 2U);
  for (int i = wide - 1; i > wide / 2; --i) {
    EXPECT_EQ(dict.pop("key" + std::to_string(i)), shared);
  }
  dict.clear();
  EXPECT_TRUE(dict.empty());
}

TEST(Registration, CyclesAreFoundInAnyOrderOfAdditions) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same on every run
  for (int round = 0; round < 50; ++round) {
    std::vector<std::shared_ptr<Module>> modules;
    for (int i = 0; i < 12; ++i) {
      modules.push_back(std::make_shared<Echo>());
    }
    for (int step = 0; step < 60; ++step) {
      Module& parent = *modules[random() % modules.size()];
      const auto& child = modules[random() % modules.size()];
      const std::string name = "c" + std::to_string(random() % 4);
      if (random() % 5 == 0) {
        parent.erase(name);
      } else if (reaches(*child, parent)) {
        EXPECT_THROW(parent.add_module(name, child), ValueError);
      } else {
        EXPECT_NO_THROW(parent.add_module(name, child));
      }
    }
    for (const auto& module : modules) {
      for (const Module* below : module->children()) {
        EXPECT_FALSE(reaches(*below, *module));
      }
    }
  }
}

namespace {

class CallsItself : public Module {
 public:
  Tensor forward(const Tensor& x) override { return (*this)(x); }
};

}  // namespace

TEST(DeepTree, CallsNestAThousandLevels) {
  const Tensor x = tensor({1});
  const auto allowed = built_outwards(999);
  allowed->modules().back()->add_module("0", std::make_shared<Echo>());
  EXPECT_EQ(values((*allowed)(x)), std::vector<double>{1});
  const auto refused = built_outwards(1000);
  refused->modules().back()->add_module("0", std::make_shared<Echo>());
  expect_throws<halnorm::Error>([&] { (*refused)(x); },
                                {"0.0.0", "Echo: got a call within 1000 calls of modules"});
  EXPECT_THROW(CallsItself()(x), halnorm::Error);
  EXPECT_EQ(values((*allowed)(x)), std::vector<double>{1}) << "all levels were left";
  EXPECT_EQ(values(allowed->backward(x)), std::vector<double>{1});
  EXPECT_THROW(built_outwards(1001)->backward(x), halnorm::Error) << "of containers alone";
}
