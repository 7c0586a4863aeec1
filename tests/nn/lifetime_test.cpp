#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Names;
using fixture::tensor;
using fixture::values;
using halnorm::Parameter;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::Module;
using halnorm::nn::ModuleDict;
using halnorm::nn::Sequential;

namespace {

/// Owns memory, so that AddressSanitizer reports a use after the end of the module.
class Named : public Module {
 public:
  explicit Named(std::string own_name) : own_name_(std::move(own_name)) {
    register_parameter("p", Parameter(Tensor::ones({1})));
  }
  [[nodiscard]] std::string name() const override { return own_name_; }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (Module* child : children()) {
      y = (*child)(y);
    }
    return own_name_.empty() ? Tensor() : y;
  }

 private:
  std::string own_name_;
};

/// root { a { a1, a2 }, b { b1 }, c }, owned by the tree alone.
struct Tree {
  std::shared_ptr<Named> root = std::make_shared<Named>("the root of the tree");
  Tree() {
    add(*root, "a");
    add(*root, "b");
    add(*root, "c");
    add(root->get_submodule("a"), "a1");
    add(root->get_submodule("a"), "a2");
    add(root->get_submodule("b"), "b1");
  }
  static void add(Module& parent, const std::string& name) {
    parent.add_module(name, std::make_shared<Named>("a module with the name " + name));
  }
  [[nodiscard]] Module& at(const std::string& path) const { return root->get_submodule(path); }
};

std::string letters_of(const Module& module) {
  const std::string name = module.name();
  return name.substr(name.rfind(' ') + 1);
}

/// M is Module or const Module.
template <class M>
Names seen_while_erasing(const Tree& tree, M& root) {
  Names seen;
  for (const auto& [path, module] : root.named_modules()) {
    seen.push_back(letters_of(*module));
    for (const char* name : {"a", "b", "c"}) {
      tree.root->erase(name);
    }
  }
  return seen;
}

}  // namespace

TEST(Lifetime, ApplyGoesOnWithWhatIsErased) {
  const Tree tree;
  Names visited;
  tree.root->apply([&](Module& module) {
    visited.push_back(letters_of(module));
    if (visited.size() == 1) {  // a1
      tree.at("a").erase("a2");
      tree.root->erase("b");
      tree.root->set("c", std::make_shared<Named>("another module with the name d"));
    }
  });
  EXPECT_EQ(visited, (Names{"a1", "a2", "a", "b1", "b", "c", "tree"}))
      << "the children that a module had when the walk came to it";
  EXPECT_EQ(fixture::names_of(tree.root->named_modules()), (Names{"", "a", "a.a1", "c"}));
}

TEST(Lifetime, ApplyMayEraseTheModuleItIsIn) {
  const Tree tree;
  Module& b = tree.at("b");
  Names visited;
  b.apply([&](Module& module) {
    tree.root->erase("b");
    visited.push_back(letters_of(module));
  });
  EXPECT_EQ(visited, (Names{"b1", "b"}));
}

TEST(Lifetime, ListsKeepTheirModules) {
  const std::vector<std::function<Names(Tree&)>> walks = {
      [](Tree& tree) {
        Names seen;
        for (const Module* module : tree.root->modules()) {
          seen.push_back(letters_of(*module));
          tree.root->erase("a");
          tree.root->erase("b");
          tree.root->set("c", std::make_shared<Named>("replaced"));
        }
        return seen;
      },
      [](Tree& tree) { return seen_while_erasing(tree, *tree.root); },
      [](Tree& tree) { return seen_while_erasing(tree, std::as_const(*tree.root)); },
  };
  for (const auto& walk : walks) {
    Tree tree;
    EXPECT_EQ(walk(tree), (Names{"tree", "a", "a1", "a2", "b", "b1", "c"}));
  }
  for (const bool named : {false, true}) {
    const Tree tree;
    Names seen;
    const auto see = [&](const Module& module) {
      seen.push_back(letters_of(module));
      for (const char* name : {"a", "b", "c"}) {
        tree.root->erase(name);
      }
    };
    if (named) {
      for (const auto& [name, module] : tree.root->named_children()) {
        see(*module);
      }
    } else {
      for (const Module* module : tree.root->children()) {
        see(*module);
      }
    }
    EXPECT_EQ(seen, (Names{"a", "b", "c"}));
  }
}

TEST(Lifetime, ListsOfTensorsKeepThem) {
  const Tree tree;
  for (const auto& [name, parameter] : tree.root->named_parameters()) {
    for (const char* child : {"a", "b", "c"}) {
      tree.root->erase(child);
    }
    EXPECT_EQ(values(parameter.data()), std::vector<double>{1}) << name;
  }
}

TEST(Lifetime, HooksEraseModulesDuringACall) {
  const Tensor x = tensor({1});
  for (const std::string target : {"a", "b", "c"}) {
    for (const std::string from : {"a", "a.a1", "b", "c"}) {
      for (const bool before : {false, true}) {
        SCOPED_TRACE(from + " erases " + target);
        const Tree tree;
        int runs = 0;
        const auto act = [&] {
          ++runs;
          tree.root->erase(target);
        };
        if (before) {
          tree.at(from).register_forward_pre_hook([act](Module&, const Tensor&) {
            act();
            return Tensor();
          });
        } else {
          tree.at(from).register_forward_hook([act](Module& self, const Tensor&, const Tensor&) {
            act();
            EXPECT_FALSE(self.name().empty());
            return Tensor();
          });
        }
        EXPECT_EQ(values((*tree.root)(x)), std::vector<double>{1});
        EXPECT_EQ(runs, 1);
        EXPECT_FALSE(tree.root->has(target));
      }
    }
  }
}

TEST(Lifetime, AHookErasesTheModuleThatWasCalledAlone) {
  const Tree tree;
  Module& a = tree.at("a");
  a.register_forward_hook([&](Module& self, const Tensor&, const Tensor&) {
    tree.root->erase("a");
    EXPECT_EQ(letters_of(self), "a");
    return Tensor();
  });
  EXPECT_EQ(values(a(tensor({2}))), std::vector<double>{2});
}

TEST(Lifetime, AnErasedModuleThatThrowsIsNamed) {
  const Tree tree;
  tree.at("a.a1").register_forward_hook([&](Module&, const Tensor&, const Tensor&) -> Tensor {
    tree.at("a").erase("a1");
    tree.root->erase("a");
    throw halnorm::ValueError("the hook's");
  });
  expect_throws<halnorm::ValueError>([&] { (*tree.root)(tensor({1})); }, {"the hook's"});
}

TEST(Lifetime, ErasedModulesGoWhenTheOutermostCallEnds) {
  const Tree tree;
  std::weak_ptr<Module> b;
  auto given = std::make_shared<Named>("given");
  b = given;
  tree.root->set("b", std::move(given));
  tree.at("a").register_forward_hook([&](Module&, const Tensor&, const Tensor&) {
    tree.root->erase("b");
    EXPECT_FALSE(b.expired());
    return Tensor();
  });
  (*tree.root)(tensor({1}));
  EXPECT_TRUE(b.expired());
}

TEST(Lifetime, ContainersMayBeChangedWhileTheyCompute) {
  const auto dict = std::make_shared<ModuleDict>();
  Sequential sequential;
  for (int i = 0; i < 3; ++i) {
    sequential.append(std::make_shared<Named>("layer number " + std::to_string(i)));
  }
  sequential[0].register_forward_hook([&](Module&, const Tensor&, const Tensor&) {
    sequential.erase("0");
    sequential.set("1", std::make_shared<Named>("a replacement"));
    sequential.erase("2");
    return Tensor();
  });
  EXPECT_EQ(values(sequential(tensor({1}))), std::vector<double>{1});
  EXPECT_EQ(sequential.size(), 1U);
  dict->insert("x", std::make_shared<Named>("in the dict"));
  dict->at("x")->register_forward_hook([&](Module& self, const Tensor&, const Tensor&) {
    dict->clear();
    EXPECT_EQ(self.name(), "in the dict");
    return Tensor();
  });
  (*dict)["x"](tensor({1}));
  EXPECT_TRUE(dict->empty());
}

TEST(Lifetime, LoadingHooksMayEraseModules) {
  const Tree tree;
  const StateDict dict = tree.root->state_dict();
  tree.at("a").register_load_state_dict_pre_hook(
      [&](Module& self, StateDict&, const std::string& prefix) {
        EXPECT_EQ(prefix, "a.");
        tree.root->erase("b");
        tree.root->erase("a");
        EXPECT_EQ(letters_of(self), "a");
      });
  tree.root->load_state_dict(dict, false);
  EXPECT_EQ(fixture::names_of(tree.root->named_modules()), (Names{"", "c"}));
}

TEST(Lifetime, ALoadingHookMayAddTheModulesOfACheckpoint) {
  const Tree tree;
  tree.root->register_load_state_dict_pre_hook([&](Module& self, StateDict&, const std::string&) {
    if (!self.has("late")) {
      Tree::add(self, "late");
    }
  });
  StateDict dict = tree.root->state_dict();
  dict.set("late.p", tensor({5}));
  tree.root->load_state_dict(dict);
  EXPECT_EQ(values(tree.root->get_parameter("late.p").data()), std::vector<double>{5});
}

TEST(Lifetime, ConversionsMayChangeTheTree) {
  const Tree tree;
  tree.root->apply_to_tensors([&](const Tensor& t) {
    tree.root->erase("b");
    tree.root->erase("a");
    for (int i = 0; i < 20; ++i) {
      tree.root->register_parameter("p" + std::to_string(i), Parameter(tensor({1})));
      tree.root->register_buffer("q" + std::to_string(i), tensor({1}));
    }
    return t.to(halnorm::DType::Float64);
  });
  EXPECT_EQ(tree.root->get_parameter("p").data().dtype(), halnorm::DType::Float64);
  EXPECT_EQ(tree.at("c").get_parameter("p").data().dtype(), halnorm::DType::Float64);
}

TEST(Lifetime, MembersMayBeChangedByAListingFunction) {
  const Tree tree;
  const auto found = tree.root->named_members([&](const Module& module) {
    halnorm::nn::NamedList<Parameter> own = {{"p", module.get_parameter("p")}};
    tree.root->erase("a");
    tree.root->erase("b");
    return own;
  });
  EXPECT_EQ(fixture::names_of(found).front(), "p");
}
