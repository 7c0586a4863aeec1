#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::message_of;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::Sequential;

namespace {

/// root.net.2.bn: net is a Sequential, and 2 a Sequential with a named child.
struct Tree {
  Tree() {
    root.emplace<Echo>();
    net->emplace<Echo>();
    net->emplace<Echo>();
    net->append(std::make_shared<Sequential>(
        std::vector<std::pair<std::string, std::shared_ptr<Module>>>{{"bn", bn}}));
    root.add_module("net", net);
  }
  std::shared_ptr<BatchNorm1d> bn = std::make_shared<BatchNorm1d>(3);
  std::shared_ptr<Sequential> net = std::make_shared<Sequential>();
  Sequential root;
};

/// Calls another module that it holds; that module need not be its child.
class Caller : public Echo {
 public:
  explicit Caller(std::shared_ptr<Module> callee) : callee_(std::move(callee)) {}
  Tensor forward(const Tensor& x) override { return (*callee_)(x); }

 private:
  std::shared_ptr<Module> callee_;
};

/// Catches the exception of its child and throws another one.
class Recovering : public Caller {
 public:
  using Caller::Caller;
  Tensor forward(const Tensor& x) override {
    try {
      return Caller::forward(x);
    } catch (const halnorm::Error&) {
      throw halnorm::ValueError("gave up");
    }
  }
};

class OwnError : public halnorm::ShapeError {
 public:
  using ShapeError::ShapeError;
};

}  // namespace

TEST(ErrorPath, EachTypeKeepsItsTypeAndGetsThePath) {
  Tree tree;
  EXPECT_EQ(message_of<halnorm::ShapeError>([&] {
              tree.root(Tensor::ones({2, 3, 4, 5}));
            }),
            "net.2.bn: BatchNorm1d: expected 2D or 3D input (got 4D input)");
  expect_throws<halnorm::ShapeError>([&] { tree.root(Tensor::ones({2, 4})); }, {"net.2.bn: "});
  expect_throws<halnorm::DTypeError>(
      [&] {
        tree.root(Tensor::ones({2, 3}, DType::Int64));
      },
      {"net.2.bn: ", "int64"});
  expect_throws<halnorm::ValueError>(
      [&] {
        tree.root(Tensor::ones({1, 3}));
      },
      {"net.2.bn: ",
       "Expected more than 1 value per channel when training, got input size (1, 3)"});
  EXPECT_EQ(message_of<halnorm::ShapeError>([&] { (*tree.net)(Tensor::ones({3})); }).substr(0, 6),
            "2.bn: ");
  EXPECT_EQ(message_of<halnorm::ShapeError>([&] { (*tree.bn)(Tensor::ones({3})); }).substr(0, 11),
            "BatchNorm1d");
}

TEST(ErrorPath, Backward) {
  Tree tree;
  expect_throws<halnorm::ValueError>(
      [&] {
        tree.root.backward(Tensor::ones({2, 3}));
      },
      {"net.2.bn: BatchNorm1d.backward", "no forward"});
}

TEST(ErrorPath, AllTypes) {
  const auto throwing = std::make_shared<Echo>();
  Sequential root({throwing});
  const auto expect_path = [&]<class E>(const E& error) {
    auto handle = throwing->register_forward_pre_hook(
        [error](Module&, const Tensor&) -> Tensor { throw error; });
    expect_throws<E>([&] { root(Tensor::ones({1})); }, {"0: it failed"});
    handle.remove();
  };
  expect_path(halnorm::Error("it failed"));
  expect_path(halnorm::ShapeError("it failed"));
  expect_path(halnorm::DTypeError("it failed"));
  expect_path(halnorm::DeviceError("it failed"));
  expect_path(halnorm::ValueError("it failed"));
  expect_path(halnorm::LoadError("it failed"));
  expect_path(halnorm::KernelError("it failed"));
}

TEST(ErrorPath, ErrorsOfOthersPassUnchanged) {
  const auto throwing = std::make_shared<Echo>();
  Sequential root({throwing});
  throwing->register_forward_hook(
      [](Module&, const Tensor&, const Tensor&) -> Tensor { throw OwnError("mine"); });
  EXPECT_EQ(message_of<OwnError>([&] { root(Tensor::ones({1})); }), "mine");
  throwing->register_forward_pre_hook(
      [](Module&, const Tensor&) -> Tensor { throw std::out_of_range("mine too"); });
  EXPECT_THROW(root(Tensor::ones({1})), std::out_of_range);
}

TEST(ErrorPath, AModuleOutsideOfTheTreeIsNamedByItsCaller) {
  const auto bn = std::make_shared<BatchNorm1d>(3);
  Sequential root({std::make_shared<Caller>(bn)});
  EXPECT_EQ(message_of<halnorm::ShapeError>([&] { root(Tensor::ones({3})); }).substr(0, 15),
            "0: BatchNorm1d:");
}

TEST(ErrorPath, AnErrorAfterACaughtOneHasItsOwnPath) {
  const auto bn = std::make_shared<BatchNorm1d>(3);
  const auto inner = std::make_shared<Recovering>(bn);
  inner->add_module("bn", bn);
  Sequential root({inner});
  for (int repeat = 0; repeat < 2; ++repeat) {
    EXPECT_EQ(message_of<halnorm::ValueError>([&] { root(Tensor::ones({3})); }), "0: gave up");
  }
}
