#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"

/// @file
/// The number of bytes that a layer sends.

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Tensor;
namespace nn = halnorm::nn;

/// Records the bytes that its rank sends in each exchange.
class Counting : public halnorm::Communicator {
 public:
  Counting(std::shared_ptr<halnorm::Communicator> inner, std::vector<std::size_t>& bytes)
      : inner_(std::move(inner)), bytes_(bytes) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    bytes_.push_back(bytes);
    inner_->all_gather(mine, all, bytes);
  }

 private:
  std::shared_ptr<halnorm::Communicator> inner_;
  std::vector<std::size_t>& bytes_;
};

using Bytes = std::vector<std::size_t>;

/// Calls body(placement, bytes of rank 0) on two ranks.
void run_counted(const std::function<void(const Placement&, Bytes&)>& body) {
  std::vector<Bytes> sent(2);
  ranks::run(
      2,
      [&](std::shared_ptr<halnorm::Communicator> own) {
        const auto rank = static_cast<std::size_t>(own->rank());
        return std::make_shared<Counting>(std::move(own), sent[rank]);
      },
      [&](const Placement& placement) {
        body(placement, sent[static_cast<std::size_t>(ranks::rank(placement))]);
      });
}

constexpr std::size_t word = sizeof(std::uint64_t);  // of the check before each exchange

TEST(Volume, OfAStepDoesNotDependOnTheBatch) {
  constexpr std::size_t channels = 12;
  for (const std::int64_t batch : {4, 400}) {
    run_counted([&](const Placement& placement, Bytes& bytes) {
      nn::BatchNorm1d layer(channels);
      layer.to_global(placement, Sbp::broadcast());
      const Tensor x =
          ranks::split_rows(ranks::normal({batch, channels}, 1), {batch - 1, 1}, placement);
      bytes.clear();
      const Tensor y = layer(x);
      EXPECT_EQ(bytes, (Bytes{word, (2 * channels + 1) * sizeof(double)}));
      bytes.clear();
      layer.backward(x);
      EXPECT_EQ(bytes, (Bytes{word, 2 * channels * sizeof(double)}));
    });
  }
}

TEST(Volume, EvalSendsNothing) {
  run_counted([&](const Placement& placement, Bytes& bytes) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast()).eval();
    const Tensor x = ranks::split_rows(ranks::normal({6, 3}, 1), {2, 4}, placement);
    bytes.clear();
    const Tensor y = layer(x);
    EXPECT_EQ(bytes, Bytes());
    EXPECT_EQ(y.sbp(), Sbp::split(0));
  });
}

TEST(Volume, ABatchThatEachRankHasIsOnlyChecked) {
  run_counted([&](const Placement& placement, Bytes& bytes) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::normal({6, 3}, 1).to_global(placement, Sbp::broadcast());
    bytes.clear();
    layer(x);
    layer.backward(x);
    EXPECT_EQ(bytes, (Bytes{word, word}));
  });
}

TEST(Volume, OneRankSendsNothing) {
  ranks::run(1, [&](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::normal({6, 3}, 1).to_global(placement, Sbp::split(0));
    layer(x);
    EXPECT_EQ(layer.backward(x).shape(), (halnorm::Shape{6, 3}));
  });
}

}  // namespace
