#include <gtest/gtest.h>

#include "halnorm/nn/batch_norm.h"
#include "nn/fixture.h"
#include "support/throws.h"

using halnorm::Error;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;

namespace {

template <class M>
concept Ordered = requires(const M& a, const M& b) {
  a < b;
}
|| requires(const M& a, const M& b) { a <= b; }
|| requires(const M& a, const M& b) { a > b; }
|| requires(const M& a, const M& b) { a >= b; };

/// The least that a subclass has to define.
class Doubler : public Module {
 public:
  Tensor forward(const Tensor& x) override { return Tensor::full(x.shape(), 2); }
};

}  // namespace

TEST(Reference, ThePagesExample) {
  const Tensor x = Tensor::randn({20, 100}, 1);
  BatchNorm1d m(100);
  const Tensor y = m(x);
  EXPECT_EQ(y.shape(), x.shape());
  EXPECT_EQ(m.num_batches_tracked.item<std::int64_t>(), 1);
}

TEST(Reference, ModulesHaveNoOrder) {
  EXPECT_FALSE(Ordered<BatchNorm1d> || Ordered<Module>);
  EXPECT_TRUE(Ordered<int>) << "the question can be answered with yes";
}

TEST(Reference, ToConsistentIsGone) {
  BatchNorm1d layer(2);
  const auto text = [](auto call) { return fixture::message_of<Error>(call); };
  const std::string wanted =
      "BatchNorm1d: .to_consistent has been removed, please use .to_global instead";
  EXPECT_EQ(text([&] { layer.to_consistent(); }), wanted);
  EXPECT_EQ(text([&] { layer.to_consistent("placement", 1); }), wanted) << "whatever it is given";
  EXPECT_THROW(layer.register_buffer("to_consistent", Tensor()), halnorm::ValueError);
}

TEST(Reference, ASubclassIsAModule) {
  Doubler doubler;
  EXPECT_EQ(fixture::values(doubler(Tensor::ones({1, 2}))), (std::vector<double>{2, 2}));
  EXPECT_EQ(doubler.name(), "Doubler");
}

TEST(Reference, TheBaseComputesNothing) {
  Module base;
  expect_throws<Error>(
      [&] {
        base(Tensor::ones({2, 3}));
      },
      {"Module: ", "forward, which this class does not implement"});
  expect_throws<Error>(
      [&] {
        base.backward(Tensor::ones({2, 3}));
      },
      {"Module: ", "backward, which this class does not implement"});
}
