#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Tensor;
namespace nn = halnorm::nn;

const std::vector<std::int64_t> lengths = {5, 0, 3};

TEST(SyncBatchNorm, TakesAndGivesLocalTensors) {
  const Tensor x = ranks::normal({8, 4}, 1, 3);
  const Tensor dy = ranks::normal({8, 4}, 2);
  ranks::run(3, [&](const Placement& placement) {
    const auto rank = static_cast<std::size_t>(ranks::rank(placement));
    nn::BatchNorm1d single(4);
    nn::SyncBatchNorm layer(4);
    layer.to_global(placement, Sbp::broadcast());
    for (const bool training : {true, false}) {
      single.train(training);
      layer.train(training);
      const Tensor y = layer(ranks::rows(x, lengths, rank));
      EXPECT_FALSE(y.is_global());
      ranks::expect_near(y, ranks::rows(single(x), lengths, rank), 1e-6, "y");
      const Tensor dx = layer.backward(ranks::rows(dy, lengths, rank));
      EXPECT_FALSE(dx.is_global());
      ranks::expect_near(dx, ranks::rows(single.backward(dy), lengths, rank), 1e-6, "dx");
      ranks::expect_near(layer.weight.grad(), single.weight.grad(), 1e-6, "dweight");
      ranks::expect_near(layer.running_var, single.running_var, 4 * 0x1p-23, "variance");
    }
  });
}

TEST(SyncBatchNorm, IsAnOrdinaryLayerBeforeToGlobal) {
  const Tensor x = ranks::normal({8, 4, 2, 2}, 1, 3);
  nn::SyncBatchNorm layer(4);
  nn::BatchNorm2d other(4);
  ranks::expect_near(layer(x), other(x), 0, "y");
  ranks::expect_near(layer.backward(x), other.backward(x), 0, "dx");
  EXPECT_EQ(layer.clone()->str(), layer.str());
  expect_throws<halnorm::ShapeError>([&] { layer(Tensor::ones({4})); }, {"SyncBatchNorm", "1D"});
}

TEST(ConvertSyncBatchnorm, SharesParametersAndReplacesEveryPlace) {
  ranks::run(2, [](const Placement& placement) {
    const auto rank = static_cast<std::size_t>(ranks::rank(placement));
    auto twice = std::make_shared<nn::BatchNorm1d>(4);
    twice->weight.data().fill_(2 + ranks::rank(placement));
    auto net = std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Module>>{
        twice, std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Module>>{twice})});
    EXPECT_EQ(nn::convert_sync_batchnorm(net, placement), net);
    const auto first = std::dynamic_pointer_cast<nn::SyncBatchNorm>(net->at(0));
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(&net->get_submodule("1.0"), first.get()) << "one replacement for one layer";
    EXPECT_TRUE(first->weight.is_same(twice->weight));
    EXPECT_EQ(first->weight.data().to_vector<double>()[0], 2) << "rank 0's";
    nn::BatchNorm1d single(4);
    single.weight.data().fill_(2);
    const Tensor x = ranks::normal({6, 4}, 1, 3);
    const Tensor y = (*first)(ranks::rows(x, {2, 4}, rank));
    ranks::expect_near(y, ranks::rows(single(x), {2, 4}, rank), 1e-6, "y");
  });
}

TEST(ConvertSyncBatchnorm, ALayerItselfIsReplaced) {
  ranks::run(2, [](const Placement& placement) {
    const auto layer = std::make_shared<nn::BatchNorm1d>(4, nn::BatchNormOptions{.eps = 0.5});
    const auto made = nn::convert_sync_batchnorm(layer, placement);
    EXPECT_NE(made, layer);
    EXPECT_EQ(made->name(), "SyncBatchNorm");
    EXPECT_EQ(std::dynamic_pointer_cast<nn::SyncBatchNorm>(made)->eps(), 0.5);
    EXPECT_THROW(nn::convert_sync_batchnorm(nullptr, placement), halnorm::ValueError);
  });
}

}  // namespace
