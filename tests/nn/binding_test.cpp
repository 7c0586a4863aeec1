#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::names_of;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using Doubles = std::vector<double>;

namespace {

const std::vector<std::string> bound_names = {"weight", "bias", "running_mean", "running_var",
                                              "num_batches_tracked"};

bool is_parameter(const std::string& name) { return name == "weight" || name == "bias"; }

/// The public member of that name.
Tensor member(BatchNorm1d& layer, const std::string& name) {
  if (is_parameter(name)) {
    return (name == "weight" ? layer.weight : layer.bias).data();
  }
  return name == "running_mean"  ? layer.running_mean
         : name == "running_var" ? layer.running_var
                                 : layer.num_batches_tracked;
}

void assign_member(BatchNorm1d& layer, const std::string& name, const Tensor& value) {
  if (is_parameter(name)) {
    (name == "weight" ? layer.weight : layer.bias) =
        value.defined() ? Parameter(value) : Parameter();
    return;
  }
  (name == "running_mean"  ? layer.running_mean
   : name == "running_var" ? layer.running_var
                           : layer.num_batches_tracked) = value;
}

void assign_by_set(BatchNorm1d& layer, const std::string& name, const Tensor& value) {
  if (is_parameter(name)) {
    layer.set(name, Parameter(value));
  } else {
    layer.set(name, value);
  }
}

void assign_by_registration(BatchNorm1d& layer, const std::string& name, const Tensor& value) {
  if (is_parameter(name)) {
    layer.register_parameter(name, Parameter(value));
  } else {
    layer.register_buffer(name, value);
  }
}

Tensor value_for(const std::string& name) {
  return name == "num_batches_tracked" ? Tensor::full({}, 7, halnorm::DType::Int64)
                                       : tensor({2, 3});
}

/// All ways of access give `value`, or nothing if it is undefined.
void expect_agreement(BatchNorm1d& layer, const std::string& name, const Tensor& value) {
  SCOPED_TRACE(name);
  const Tensor now = member(layer, name);
  EXPECT_EQ(now.defined(), value.defined());
  EXPECT_EQ(layer.state_dict().contains(name), value.defined());
  const auto parameters = names_of(layer.named_parameters());
  const auto buffers = names_of(layer.named_buffers());
  const auto& listed = is_parameter(name) ? parameters : buffers;
  EXPECT_EQ(std::count(listed.begin(), listed.end(), name), value.defined() ? 1 : 0);
  if (!value.defined()) {
    return;
  }
  EXPECT_TRUE(now.is_same(value));
  EXPECT_TRUE(layer.has(name));
  EXPECT_TRUE((is_parameter(name) ? std::get<Parameter>(layer.get(name)).data()
                                  : std::get<Tensor>(layer.get(name)))
                  .is_same(value));
  EXPECT_TRUE((is_parameter(name) ? layer.get_parameter(name).data() : layer.get_buffer(name))
                  .is_same(value));
  EXPECT_TRUE(layer.state_dict("", true).at(name).is_same(value));
}

void unregister(BatchNorm1d& layer, const std::string& name) {
  if (is_parameter(name)) {
    layer.unregister_parameter(name);
  } else {
    layer.unregister_buffer(name);
  }
}

}  // namespace

TEST(Binding, ANameKeepsItAfterItWasErased) {
  const std::vector<std::function<void(BatchNorm1d&, const std::string&)>> erasures = {
      [](BatchNorm1d& layer, const std::string& name) { EXPECT_TRUE(layer.erase(name)); },
      unregister,
      [](BatchNorm1d& layer, const std::string& name) { layer.set(name, Tensor()); },
      [](BatchNorm1d& layer, const std::string& name) { assign_member(layer, name, Tensor()); },
  };
  for (const auto& assign : {assign_member, assign_by_set, assign_by_registration}) {
    for (const auto& erase : erasures) {
      for (const std::string& name : bound_names) {
        BatchNorm1d layer(2);
        const auto order = names_of(layer.state_dict());
        erase(layer, name);
        expect_agreement(layer, name, Tensor());
        const Tensor value = value_for(name);
        assign(layer, name, value);
        expect_agreement(layer, name, value);
        EXPECT_EQ(names_of(layer.state_dict()), order);
        layer.erase(name);
        expect_agreement(layer, name, Tensor());
        EXPECT_FALSE(layer.has(name));
        EXPECT_FALSE(layer.erase(name));
        expect_throws<ValueError>([&] { static_cast<void>(layer.get(name)); }, {name});
        expect_throws<ValueError>([&] { unregister(layer, name); }, {name});
        const auto members = layer.member_names();
        EXPECT_EQ(std::count(members.begin(), members.end(), name), 0);
      }
    }
  }
}

TEST(Binding, ForwardUsesWhatIsAssignedAfterAnErasure) {
  const Tensor x = tensor({-1, 1}, {2, 1});
  BatchNorm1d layer(1, {.eps = 0});
  layer.erase("weight");
  layer.set("weight", Parameter(tensor({3})));
  EXPECT_EQ(values(layer(x)), (Doubles{-3, 3}));
  layer.erase("weight");
  EXPECT_EQ(values(layer(x)), (Doubles{-1, 1}));
  layer.weight = Parameter(tensor({5}));
  EXPECT_EQ(values(layer(x)), (Doubles{-5, 5}));
  layer.erase("bias");
  layer.register_parameter("bias", Parameter(tensor({1})));
  EXPECT_EQ(values(layer(x)), (Doubles{-4, 6}));
  layer.eval();
  layer.erase("running_mean");
  layer.erase("running_var");
  layer.set("running_mean", tensor({1}));
  layer.running_var = tensor({4});
  EXPECT_EQ(values(layer(x)), (Doubles{-4, 1}));
  layer.train();
  layer.erase("num_batches_tracked");
  layer.set("num_batches_tracked", Tensor::full({}, 7, halnorm::DType::Int64));
  layer(x);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 8);
}

TEST(Binding, ANameKeepsItsKind) {
  for (const bool erased : {false, true}) {
    BatchNorm1d layer(1);
    if (erased) {
      for (const std::string& name : bound_names) {
        layer.erase(name);
      }
    }
    expect_throws<ValueError>([&] { layer.set("running_mean", Parameter(tensor({6}))); },
                              {"'Parameter' as buffer 'running_mean' (Tensor or None expected)"});
    expect_throws<ValueError>([&] { layer.set("running_var", std::make_shared<Echo>()); },
                              {"'Module' as buffer 'running_var' (Tensor or None expected)"});
    expect_throws<ValueError>([&] { layer.set("weight", tensor({6})); },
                              {"'Tensor' as parameter 'weight' (Parameter or None expected)"});
    expect_throws<ValueError>([&] { layer.set("weight", std::make_shared<Echo>()); },
                              {"'Module' as parameter 'weight'"});
    expect_throws<ValueError>([&] { layer.register_buffer("weight", tensor({6})); },
                              {"attribute 'weight' already exists"});
    expect_throws<ValueError>([&] { layer.register_parameter("running_mean", Parameter()); },
                              {"attribute 'running_mean' already exists"});
    expect_throws<ValueError>([&] { layer.add_module("bias", std::make_shared<Echo>()); },
                              {"attribute 'bias' already exists"});
    EXPECT_EQ(layer.running_mean.defined(), !erased) << "nothing has changed";
  }
}

namespace {

/// Has a child that is a bound member, and a function that binds it again.
class WithMember : public Echo {
 public:
  WithMember() { rebind(); }
  void rebind() { bind_module("norm", norm); }
  Tensor forward(const Tensor& x) override { return norm(x); }
  BatchNorm1d norm{2};
};

}  // namespace

TEST(Binding, AMemberThatIsAModuleCannotBecomeAnother) {
  WithMember module;
  const auto refused = [&module] {
    expect_throws<ValueError>([&] { module.set("norm", std::make_shared<BatchNorm1d>(2)); },
                              {"another module for 'norm'", "wanted the member of the class"});
    expect_throws<ValueError>([&] { module.add_module("norm", std::make_shared<Echo>()); },
                              {"another module for 'norm'"});
    expect_throws<ValueError>([&] { module.set("norm", Parameter(tensor({1}))); },
                              {"'Parameter' as child module 'norm'"});
    expect_throws<ValueError>([&] { module.register_buffer("norm", tensor({1})); },
                              {"attribute 'norm' already exists"});
  };
  refused();
  EXPECT_EQ(&module.get_submodule("norm"), &module.norm);
  EXPECT_TRUE(module.erase("norm"));
  EXPECT_FALSE(module.has("norm") || module.erase("norm"));
  EXPECT_TRUE(module.state_dict().empty() && module.children().empty());
  EXPECT_EQ(module.str(), "WithMember()");
  refused();
  module.rebind();
  EXPECT_EQ(&module.get_submodule("norm"), &module.norm);
  EXPECT_EQ(module.state_dict().size(), 5U);
}

TEST(Binding, FreeNamesMoveBetweenKinds) {
  Echo module;
  module.register_buffer("free", tensor({1}));
  module.set("free", Parameter(tensor({2})));
  EXPECT_EQ(names_of(module.named_parameters()), fixture::Names{"free"});
  EXPECT_TRUE(module.buffers().empty());
  module.erase("free");
  module.add_module("free", std::make_shared<Echo>());
  module.set("free", Parameter(tensor({3})));
  EXPECT_TRUE(module.children().empty());
  EXPECT_EQ(values(module.get_parameter("free").data()), Doubles{3});
  module.erase("free");
  module.register_buffer("free", tensor({4}));
  module.set("free", std::make_shared<Echo>());
  EXPECT_EQ(names_of(module.named_children()), fixture::Names{"free"});
}
