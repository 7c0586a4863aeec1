#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::message_of;
using fixture::Names;
using fixture::names_of;
using fixture::Net;
using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::Sequential;
using Doubles = std::vector<double>;

namespace {

const Names all_keys = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"};

/// Everything a layer holds, as numbers.
Doubles contents(const Module& module) {
  Doubles all;
  for (const auto& [name, tensor] : module.state_dict()) {
    const auto part = values(tensor);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// Stores a buffer under two names, like subclasses that write their own entries.
class Packed : public Echo {
 public:
  Packed() { bind_buffer("value", value, false); }
  Tensor value = tensor({1, 2});

 protected:
  void save_to_state_dict(StateDict& destination, const std::string& prefix,
                          bool /*keep_vars*/) const override {
    destination.set(prefix + "low", value.narrow(0, 0, 1));
    destination.set(prefix + "high", value.narrow(0, 1, 1));
  }
  void load_from_state_dict(halnorm::nn::LoadState& load, const std::string& prefix) override {
    load.plan_copy(prefix + "low", value.narrow(0, 0, 1));
    load.plan_copy(prefix + "high", value.narrow(0, 1, 1));
  }
};

}  // namespace

TEST(StateDictMap, KeepsOrder) {
  StateDict dict = {{"b", tensor({1})}, {"a", tensor({2})}, {"c", tensor({3})}};
  dict.set("b", tensor({4}));
  EXPECT_EQ(dict.names(), (Names{"b", "a", "c"}));
  EXPECT_EQ(values(dict.at("b")), Doubles{4});
  EXPECT_TRUE(dict.rename("a", "z"));
  EXPECT_FALSE(dict.rename("a", "y"));
  EXPECT_TRUE(dict.rename("c", "c"));
  EXPECT_EQ(dict.names(), (Names{"b", "z", "c"}));
  EXPECT_TRUE(dict.rename("c", "b")) << "takes the name over";
  EXPECT_EQ(dict.names(), (Names{"z", "b"}));
  EXPECT_EQ(values(dict.at("b")), Doubles{3});
  EXPECT_TRUE(dict.erase("z"));
  EXPECT_FALSE(dict.erase("z"));
  EXPECT_EQ(values(dict.at("b")), Doubles{3});
  EXPECT_EQ(dict.size(), 1U);
  expect_throws<halnorm::ValueError>([&] { static_cast<void>(dict.at("z")); }, {"'z'", "1 names"});
}

TEST(StateDictMap, Versions) {
  StateDict dict;
  EXPECT_EQ(dict.version(""), std::nullopt);
  dict.set_version("", 2);
  dict.set_version("net.bn", 3);
  EXPECT_EQ(dict.version(""), 2);
  EXPECT_EQ(dict.version("net.bn"), 3);
  dict.metadata()["version:net.bn"] = "3rd";
  EXPECT_EQ(dict.version("net.bn"), std::nullopt);
}

TEST(StateDict, KeysOfEachConfiguration) {
  EXPECT_EQ(names_of(BatchNorm1d(3).state_dict()), all_keys);
  EXPECT_EQ(names_of(BatchNorm1d(3, {.affine = false}).state_dict()),
            (Names{"running_mean", "running_var", "num_batches_tracked"}));
  EXPECT_EQ(names_of(BatchNorm1d(3, {.track_running_stats = false}).state_dict()),
            (Names{"weight", "bias"}));
  EXPECT_EQ(names_of(BatchNorm1d(3).state_dict("net")).front(), "netweight") << "no dot is added";
  StateDict given = {{"first", tensor({1})}};
  BatchNorm1d(3).state_dict(given, "x.");
  EXPECT_EQ(given.size(), 6U);
  EXPECT_EQ(given.version("x"), 2);
  EXPECT_EQ(Net().state_dict().version("b.0"), 2);
  EXPECT_EQ(Net().state_dict().version("b"), std::nullopt);
}

TEST(StateDict, AliasesTheLiveTensors) {
  BatchNorm1d layer(2);
  const StateDict dict = layer.state_dict();
  const StateDict vars = layer.state_dict("", true);
  EXPECT_TRUE(vars.at("weight").is_same(layer.weight.data()));
  EXPECT_FALSE(dict.at("weight").is_same(layer.weight.data()));
  layer.running_mean.fill_(5);
  EXPECT_EQ(values(dict.at("running_mean")), (Doubles{5, 5}));
  layer.to_double();
  EXPECT_EQ(vars.at("weight").dtype(), DType::Float64);
  EXPECT_EQ(dict.at("weight").dtype(), DType::Float32);
}

TEST(LoadStateDict, CopiesInPlaceAndConverts) {
  BatchNorm1d from(2);
  from(Tensor::randn({4, 2}, 3));
  from.to_double();
  BatchNorm1d to(2);
  const Tensor mean = to.running_mean;
  to.weight.set_requires_grad(false);
  const auto result = to.load_state_dict(from.state_dict());
  EXPECT_EQ(result.str(), "<All keys matched successfully>");
  EXPECT_TRUE(to.running_mean.is_same(mean));
  EXPECT_EQ(mean.dtype(), DType::Float32);
  EXPECT_FALSE(to.weight.requires_grad());
  EXPECT_EQ(contents(to), contents(from));
}

TEST(LoadStateDict, EntriesMayShareTheModulesMemory) {
  BatchNorm1d layer(2);
  layer.weight.data().fill_(3);
  StateDict swapped = layer.state_dict();
  swapped.set("weight", layer.bias.data());
  swapped.set("bias", layer.weight.data());
  layer.load_state_dict(swapped);
  EXPECT_EQ(values(layer.weight.data()), (Doubles{0, 0}));
  EXPECT_EQ(values(layer.bias.data()), (Doubles{3, 3}));
}

TEST(LoadStateDict, TheWholeText) {
  BatchNorm1d layer(3);
  const auto before = contents(layer);
  const StateDict dict = {{"foo", tensor({1})},
                          {"running_mean", tensor({1, 2, 3, 4})},
                          {"running_var", tensor({9, 9, 9})},
                          {"num_batches_tracked", tensor({1, 2})},
                          {"bar.baz", tensor({1})},
                          {"running_var.x", tensor({1})}};
  EXPECT_EQ(
      message_of<LoadError>([&] { layer.load_state_dict(dict); }),
      "Error(s) in loading state_dict for BatchNorm1d:\n"
      "\tMissing key(s) in state_dict: \"weight\", \"bias\". \n"
      "\tUnexpected key(s) in state_dict: \"foo\", \"bar.baz\", \"running_var.x\". \n"
      "\tsize mismatch for running_mean: copying a param with shape (4,) from checkpoint, the "
      "shape in current model is (3,).\n"
      "\tsize mismatch for num_batches_tracked: copying a param with shape (2,) from checkpoint, "
      "the shape in current model is ().");
  EXPECT_EQ(contents(layer), before) << "nothing is loaded by a call that throws";
}

TEST(LoadStateDict, StrictnessIsAboutKeysAlone) {
  BatchNorm1d layer(1);
  StateDict dict = {{"bias", tensor({4})}, {"foo", tensor({1})}};
  const auto result = layer.load_state_dict(dict, false);
  EXPECT_EQ(result.missing_keys, (Names{"weight", "running_mean", "running_var"}));
  EXPECT_EQ(result.unexpected_keys, Names{"foo"});
  EXPECT_EQ(result.str(),
            "_IncompatibleKeys(missing_keys=['weight', 'running_mean', 'running_var'], "
            "unexpected_keys=['foo'])");
  EXPECT_EQ(values(layer.bias.data()), Doubles{4});
  dict.set("bias", tensor({5, 6}));
  expect_throws<LoadError>([&] { layer.load_state_dict(dict, false); }, {"size mismatch for bias"});
}

TEST(LoadStateDict, AnOldCheckpointLeavesTheCounter) {
  BatchNorm1d layer(2);
  *layer.num_batches_tracked.data<std::int64_t>() = 11;
  StateDict dict = BatchNorm1d(2).state_dict();
  dict.erase("num_batches_tracked");
  EXPECT_TRUE(layer.load_state_dict(dict).missing_keys.empty());
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 11);
  layer.load_state_dict(BatchNorm1d(2).state_dict());
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0) << "one that is there is loaded";
}

TEST(LoadStateDict, WhatCannotBeCopied) {
  BatchNorm1d layer(2);
  const auto before = contents(layer);
  StateDict dict = layer.state_dict();
  dict.set("bias", Tensor());
  expect_throws<LoadError>([&] { layer.load_state_dict(dict); },
                           {"While copying the parameter \"bias\", an exception occurred : "});
  float one = 1;
  layer.register_buffer("spread", Tensor::from_blob(&one, {3}, DType::Float32, {0}));
  dict = BatchNorm1d(2).state_dict();
  dict.set("weight", tensor({8, 8}));
  dict.set("spread", tensor({1, 2, 3}));
  expect_throws<LoadError>([&] { layer.load_state_dict(dict); },
                           {"While copying the parameter \"spread\"", "no two elements"});
  layer.unregister_buffer("spread");
  EXPECT_EQ(contents(layer), before);
}

TEST(LoadStateDict, TreesAndStrays) {
  Net net;
  Net other;
  net.a->running_mean.fill_(3);
  other.load_state_dict(net.state_dict());
  EXPECT_EQ(contents(other), contents(net));

  other.add_module("none", nullptr);
  other.register_buffer("scratch", tensor({1}), false);
  StateDict dict = net.state_dict();
  dict.set("a.stray", tensor({1}));
  dict.set("none.x", tensor({1}));
  dict.set("scratch", tensor({1}));
  const auto result = other.load_state_dict(dict, false);
  EXPECT_EQ(result.unexpected_keys, (Names{"none.x", "scratch", "a.stray"})) << "the root first";
  EXPECT_TRUE(result.missing_keys.empty());
  dict.erase("b.2.bias");
  expect_throws<LoadError>([&] { other.load_state_dict(dict); },
                           {"state_dict for Net:", "Missing key(s) in state_dict: \"b.2.bias\""});
}

TEST(LoadStateDict, HooksRenameOldKeys) {
  Sequential net({std::make_shared<BatchNorm1d>(1)});
  auto handle = net[0].register_load_state_dict_pre_hook(
      [](Module&, StateDict& dict, const std::string& prefix) {
        EXPECT_EQ(prefix, "0.");
        EXPECT_EQ(dict.version("0"), std::nullopt);
        dict.rename(prefix + "gamma", prefix + "weight");
      });
  StateDict old = {{"0.gamma", tensor({6})},
                   {"0.bias", tensor({0})},
                   {"0.running_mean", tensor({0})},
                   {"0.running_var", tensor({1})}};
  net.load_state_dict(old);
  EXPECT_EQ(values(net.get_parameter("0.weight").data()), Doubles{6});
  EXPECT_TRUE(old.contains("0.gamma")) << "the caller's dictionary is not changed";
  handle.remove();
  expect_throws<LoadError>([&] { net.load_state_dict(old); }, {"\"0.weight\"", "\"0.gamma\""});
}

TEST(LoadStateDict, SubclassesMayWriteTheirOwnEntries) {
  Packed from;
  from.value = tensor({5, 6});
  Packed to;
  EXPECT_EQ(names_of(from.state_dict()), (Names{"low", "high"}));
  to.load_state_dict(from.state_dict());
  EXPECT_EQ(values(to.value), (Doubles{5, 6}));
}

TEST(StateDict, ThroughAStream) {
  Net net;
  net.a->running_mean.fill_(3);
  std::stringstream stream;
  net.save(stream);
  Net other;
  other.load(stream);
  EXPECT_EQ(contents(other), contents(net));
}
