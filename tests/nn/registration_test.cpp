#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <variant>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::message_of;
using fixture::Names;
using fixture::names_of;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::Sequential;

namespace {

/// Has bound members.
class Bound : public Echo {
 public:
  Bound() {
    bind_parameter("scale", scale);
    bind_buffer("offset", offset);
    bind_buffer("scratch", scratch, false);
    bind_module("norm", norm);
  }
  Parameter scale{tensor({2})};
  Tensor offset = tensor({3});
  Tensor scratch;
  BatchNorm1d norm{2};
};

}  // namespace

TEST(Registration, KeepsTheOrderAndReplacesInPlace) {
  Echo module;
  module.register_parameter("b", Parameter(tensor({1})));
  module.register_parameter("a", Parameter(tensor({2})));
  module.register_parameter("b", Parameter(tensor({3})));
  EXPECT_EQ(names_of(module.named_parameters()), (Names{"b", "a"}));
  EXPECT_EQ(values(module.get_parameter("b").data()), std::vector<double>{3});
  module.register_buffer("y", tensor({1}));
  module.register_buffer("x", tensor({1}));
  EXPECT_EQ(names_of(module.state_dict()), (Names{"b", "a", "y", "x"}));
}

TEST(Registration, UndefinedReservesTheName) {
  Echo module;
  module.register_parameter("p", Parameter());
  module.register_buffer("b", Tensor());
  module.add_module("m", nullptr);
  EXPECT_TRUE(module.has("p") && module.has("b") && module.has("m"));
  EXPECT_FALSE(module.get_parameter("p").defined());
  EXPECT_TRUE(module.named_parameters().empty() && module.named_buffers().empty());
  EXPECT_TRUE(module.children().empty() && module.state_dict().empty());
  expect_throws<ValueError>([&] { module.register_buffer("p", tensor({1})); },
                            {"attribute 'p' already exists"});
}

TEST(Registration, PersistenceFollowsTheLatestRegistration) {
  Echo module;
  module.register_buffer("b", tensor({1}), false);
  EXPECT_TRUE(module.state_dict().empty());
  EXPECT_EQ(module.buffers().size(), 1U);
  module.register_buffer("b", tensor({1}), true);
  EXPECT_EQ(module.state_dict().size(), 1U);
  module.register_buffer("b", tensor({1}), false);
  EXPECT_TRUE(module.state_dict().empty());
}

TEST(Registration, RefusesNames) {
  const auto layer = std::make_shared<BatchNorm1d>(2);
  const auto child = std::make_shared<Echo>();
  const Tensor t = tensor({1});
  const Parameter p(t);
  EXPECT_EQ(message_of<ValueError>([&] { layer->register_buffer("a.b", t); }),
            "BatchNorm1d: buffer name can't contain \".\", got: a.b");
  EXPECT_EQ(message_of<ValueError>([&] { layer->register_parameter("a.b", p); }),
            "BatchNorm1d: parameter name can't contain \".\", got: a.b");
  EXPECT_EQ(message_of<ValueError>([&] { layer->add_module("a.b", child); }),
            "BatchNorm1d: module name can't contain \".\", got: a.b");
  EXPECT_EQ(message_of<ValueError>([&] { layer->register_buffer("", t); }),
            "BatchNorm1d: buffer name can't be empty string \"\"");
  EXPECT_EQ(message_of<ValueError>([&] { layer->register_parameter("", p); }),
            "BatchNorm1d: parameter name can't be empty string \"\"");
  EXPECT_EQ(message_of<ValueError>([&] { layer->add_module("", child); }),
            "BatchNorm1d: module name can't be empty string \"\"");
  for (const char* taken : {"weight", "forward", "training", "eps", "zero_grad"}) {
    const std::string text = "BatchNorm1d: attribute '" + std::string(taken) + "' already exists";
    EXPECT_EQ(message_of<ValueError>([&] { layer->register_buffer(taken, t); }), text);
    EXPECT_EQ(message_of<ValueError>([&] { layer->add_module(taken, child); }), text);
  }
  EXPECT_EQ(message_of<ValueError>([&] { layer->register_parameter("running_mean", p); }),
            "BatchNorm1d: attribute 'running_mean' already exists");
  EXPECT_EQ(layer->state_dict().size(), 5U);
}

TEST(Registration, RefusesCycles) {
  const auto outer = std::make_shared<Sequential>();
  const auto inner = std::make_shared<Sequential>();
  outer->append(inner);
  expect_throws<ValueError>([&] { outer->add_module("self", outer); },
                            {"'self'", "contains the module"});
  expect_throws<ValueError>([&] { inner->append(outer); }, {"'0'", "as '0'", "wanted a tree"});
  EXPECT_TRUE(inner->empty());
}

TEST(Registration, MembersAreTheEntries) {
  Bound module;
  EXPECT_EQ(names_of(module.named_parameters()), (Names{"scale", "norm.weight", "norm.bias"}));
  module.scale = Parameter(tensor({7}));
  module.offset = tensor({8});
  module.scratch = tensor({9});
  EXPECT_TRUE(module.get_parameter("scale").is_same(module.scale));
  EXPECT_EQ(values(module.get_buffer("offset")), std::vector<double>{8});
  EXPECT_EQ(names_of(module.named_buffers("", false)), (Names{"offset", "scratch"}));
  EXPECT_FALSE(module.state_dict().contains("scratch"));
  module.register_buffer("offset", tensor({10}));
  EXPECT_EQ(values(module.offset), std::vector<double>{10});
  EXPECT_EQ(&module.get_submodule("norm"), &module.norm);
  module.eval();
  EXPECT_FALSE(module.norm.is_training());
  BatchNorm1d& norm = module.norm;
  norm.running_mean = Tensor();
  EXPECT_FALSE(module.state_dict().contains("norm.running_mean"));
}

TEST(Registration, Unregistering) {
  Bound module;
  module.unregister_parameter("scale");
  EXPECT_FALSE(module.scale.defined()) << "the member is emptied";
  EXPECT_FALSE(module.has("scale"));
  module.unregister_buffer("offset");
  module.unregister_module("norm");
  EXPECT_TRUE(module.state_dict().empty());
  expect_throws<ValueError>([&] { module.unregister_parameter("scale"); },
                            {"unregister_parameter", "'scale'"});
  expect_throws<ValueError>([&] { module.unregister_buffer("gone"); }, {"buffer", "'gone'"});
  expect_throws<ValueError>([&] { module.unregister_module("gone"); }, {"child module", "'gone'"});
  EXPECT_TRUE(module.erase("scratch"));
  EXPECT_FALSE(module.erase("scratch"));
}

TEST(Access, ByName) {
  const fixture::Net net;
  EXPECT_TRUE(std::get<Parameter>(net.get("p")).is_same(net.p));
  EXPECT_EQ(std::get<Tensor>(net.get("buf")).shape(), halnorm::Shape{3});
  EXPECT_EQ(std::get<Module*>(net.get("a")), net.a.get());
  EXPECT_EQ(message_of<ValueError>([] { static_cast<void>(BatchNorm1d(3).get("foo")); }),
            "'BatchNorm1d' object has no attribute 'foo'");
  EXPECT_TRUE(net.get_parameter("a.weight").is_same(net.a->weight));
  EXPECT_TRUE(net.get_buffer("b.2.running_var").defined());
  EXPECT_EQ(net.get_submodule("b.0").name(), "BatchNorm1d");
  EXPECT_EQ(&net.get_submodule(""), &net);
  for (const char* path : {".", "a.", ".a", "b..0"}) {
    EXPECT_THROW(static_cast<void>(net.get_submodule(path)), ValueError) << path;
  }
  expect_throws<ValueError>([&] { static_cast<void>(net.get_parameter("a.foo")); },
                            {"'BatchNorm1d' object has no attribute 'foo'"});
  expect_throws<ValueError>([&] { static_cast<void>(net.get_buffer("z.foo")); },
                            {"'Net' object has no attribute 'z'"});
  expect_throws<ValueError>([&] { static_cast<void>(net.get_submodule("b.9")); },
                            {"'Sequential' object has no attribute '9'"});
}

TEST(Access, Assignment) {
  BatchNorm1d layer(1);
  layer.set("weight", Parameter(tensor({4})));
  EXPECT_EQ(values(layer.weight.data()), std::vector<double>{4});
  layer.set("running_mean", tensor({5}));
  EXPECT_EQ(values(layer.running_mean), std::vector<double>{5});
  layer.set("weight", Tensor());
  EXPECT_FALSE(layer.weight.defined());
  layer.set("bias", Parameter());
  EXPECT_FALSE(layer.bias.defined());
  EXPECT_THROW(layer.set("running_mean", Parameter(tensor({6}))), ValueError)
      << "the member of the class is no parameter";
  EXPECT_EQ(values(layer.running_mean), std::vector<double>{5});
  layer.register_buffer("free", tensor({6}));
  layer.set("free", Parameter(tensor({6})));
  EXPECT_EQ(names_of(layer.state_dict()).front(), "free") << "the name has moved";
  layer.erase("free");
  layer.register_buffer("free", tensor({6}));
  layer.set("free", std::make_shared<Echo>());
  EXPECT_EQ(names_of(layer.named_children()), Names{"free"});
  layer.set("free", Tensor());
  EXPECT_TRUE(layer.has("free") && layer.children().empty());
  layer.set("fresh", Parameter(tensor({1})));
  layer.set("child", std::make_shared<Echo>());
  EXPECT_TRUE(layer.has("fresh") && layer.has("child"));
}

TEST(Access, WrongAssignment) {
  fixture::Net net;
  EXPECT_EQ(message_of<ValueError>([&] { net.set("p", tensor({1})); }),
            "Net: cannot assign 'Tensor' as parameter 'p' (Parameter or None expected)");
  EXPECT_EQ(message_of<ValueError>([&] { net.set("a", tensor({1})); }),
            "Net: cannot assign 'Tensor' as child module 'a' (Module or None expected)");
  EXPECT_EQ(message_of<ValueError>([&] { net.set("p", std::make_shared<Echo>()); }),
            "Net: cannot assign 'Module' as parameter 'p' (Parameter or None expected)");
  EXPECT_EQ(message_of<ValueError>([&] { net.set("fresh", tensor({1})); }),
            "'Net' object has no attribute 'fresh'");
  EXPECT_TRUE(net.get_parameter("p").is_same(net.p));
}

TEST(Access, MemberNames) {
  const auto names = BatchNorm1d(2).member_names();
  for (const char* name : {"forward", "training", "eps", "weight", "num_batches_tracked"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
}
