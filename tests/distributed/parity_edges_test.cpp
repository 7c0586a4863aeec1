#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"

/// @file
/// Uneven parts, and tensors with another distribution.

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;
namespace nn = halnorm::nn;

std::vector<double> bits(const Tensor& tensor) { return tensor.to_vector<double>(); }

TEST(ParityOfRanks, EachRankHasTheSameBitsInEveryRun) {
  std::vector<std::vector<double>> seen(8);
  for (int run = 0; run < 2; ++run) {
    ranks::run(4, [&](const Placement& placement) {
      nn::BatchNorm1d layer(31);
      layer.to_global(placement, Sbp::broadcast());
      layer(ranks::split_rows(ranks::normal({40, 31, 3}, 5, 3), {7, 11, 20, 2}, placement));
      auto values = bits(layer.running_mean);
      const auto variances = bits(layer.running_var);
      values.insert(values.end(), variances.begin(), variances.end());
      seen[static_cast<std::size_t>(run) * 4 + static_cast<std::size_t>(ranks::rank(placement))] =
          values;
    });
  }
  for (const auto& values : seen) {
    EXPECT_EQ(values, seen.front());
  }
}

TEST(ParityOfRanks, OneValueOnARankIsEnoughIfOthersHaveSome) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::normal({2, 2}, 3);
    const Tensor y = layer(ranks::split_rows(x, {1, 1}, placement));
    nn::BatchNorm1d single(2);
    ranks::expect_near(
        y.to_local(),
        ranks::rows(single(x), {1, 1}, static_cast<std::size_t>(ranks::rank(placement))), 1e-6,
        "y");
  });
}

TEST(ParityOfRanks, OneValueInAllIsAnErrorOnAllRanks) {
  ranks::run(3, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::split_rows(ranks::normal({1, 2}, 3), {0, 1, 0}, placement);
    EXPECT_THROW(layer(x), halnorm::ValueError);
    EXPECT_EQ(bits(layer.running_var), (std::vector<double>{1, 1}));
    EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  });
}

TEST(ParityOfRanks, AnEmptyBatchLeavesStatisticsAlone) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::split_rows(ranks::normal({0, 2}, 3), {0, 0}, placement);
    EXPECT_EQ(layer(x).shape(), (Shape{0, 2}));
    EXPECT_EQ(layer.backward(x).shape(), (Shape{0, 2}));
    EXPECT_EQ(bits(layer.running_var), (std::vector<double>{1, 1}));
    EXPECT_EQ(bits(layer.weight.grad()), (std::vector<double>{0, 0}));
  });
}

TEST(ParityOfRanks, OtherSplitsOfXAreRedistributed) {
  const Tensor x = ranks::normal({12, 4}, 3, 2);
  const Tensor dy = ranks::normal({12, 4}, 4);
  nn::BatchNorm1d single(4);
  const Tensor y = single(x);
  const Tensor dx = single.backward(dy);
  ranks::run(3, [&](const Placement& placement) {
    for (const Sbp sbp : {Sbp::split(1), Sbp::partial_sum(), Sbp::broadcast(), Sbp::split(0)}) {
      nn::BatchNorm1d layer(4);
      layer.to_global(placement, Sbp::broadcast());
      const Tensor whole = x.to_global(placement, Sbp::broadcast());
      const Tensor got = layer(whole.to_global(sbp));
      const Sbp wanted = sbp == Sbp::broadcast() ? sbp : Sbp::split(0);
      EXPECT_EQ(got.sbp(), wanted);
      ranks::expect_near(got.to_global(Sbp::broadcast()), y, 1e-6, "y of " + sbp.str());
      const Tensor gradient = layer.backward(dy.to_global(placement, Sbp::broadcast()));
      EXPECT_EQ(gradient.sbp(), wanted);
      ranks::expect_near(gradient.to_global(Sbp::broadcast()), dx, 1e-6, "dx of " + sbp.str());
      ranks::expect_near(layer.weight.grad(), single.weight.grad(), 1e-5,
                         "dweight of " + sbp.str());
      ranks::expect_near(layer.running_var, single.running_var, 4 * 0x1p-23, "variance");
    }
  });
}

TEST(ParityOfRanks, OutReceivesThisRanksPart) {
  const Tensor x = ranks::normal({12, 4}, 3, 2);
  ranks::run(2, [&](const Placement& placement) {
    nn::BatchNorm1d layer(4);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor mine = ranks::rows(x, {5, 7}, static_cast<std::size_t>(ranks::rank(placement)));
    const Tensor own = mine.clone();
    const Tensor in_place = own.to_global(placement, Sbp::split(0));
    EXPECT_TRUE(layer(in_place, in_place).is_same(in_place));
    nn::BatchNorm1d single(4);
    ranks::expect_near(
        own, ranks::rows(single(x), {5, 7}, static_cast<std::size_t>(ranks::rank(placement))), 1e-6,
        "y in place");
  });
}

}  // namespace
