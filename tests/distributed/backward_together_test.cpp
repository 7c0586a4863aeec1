#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

/// @file
/// Tests the arguments of nn::backward_together(); overlap_test.cpp tests its bits and pending
/// exchanges.

namespace {

using halnorm::CommunicationError;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Tensor;
using halnorm::ValueError;
namespace nn = halnorm::nn;

const std::vector<std::int64_t> lengths = {4, 2};

Tensor some_rows(const Placement& placement, std::uint64_t seed) {
  return ranks::split_rows(ranks::normal({6, 3}, seed), lengths, placement);
}

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

TEST(BackwardTogether, AFusedLayerGivesTheGradientOfItsAddend) {
  ranks::run(2, [](const Placement& placement) {
    std::vector<std::vector<double>> seen;
    for (const bool together : {false, true}) {
      nn::FusedBatchNorm1d layer(3);
      layer.to_global(placement, Sbp::broadcast());
      layer(some_rows(placement, 1), some_rows(placement, 2));
      const Tensor dy = some_rows(placement, 3);
      const auto [dx, daddend] =
          together ? nn::backward_together({&layer}, {dy})[0] : layer.backward_fused(dy);
      seen.push_back(values(dx.to_local()));
      seen.push_back(values(daddend.to_local()));
    }
    EXPECT_EQ(seen[0], seen[2]);
    EXPECT_EQ(seen[1], seen[3]);
  });
}

TEST(BackwardTogether, ALayerMayOccurTwiceAndOthersMayBeLocalOutside) {
  ranks::run(2, [](const Placement& placement) {
    const auto rank = static_cast<std::size_t>(ranks::rank(placement));
    const Tensor mine = ranks::rows(ranks::normal({6, 3}, 7), lengths, rank);
    std::vector<std::vector<double>> seen;
    for (const bool together : {false, true}) {
      nn::BatchNorm1d twice(3);
      nn::SyncBatchNorm sync(3);
      twice.to_global(placement, Sbp::broadcast());
      sync.to_global(placement, Sbp::broadcast());
      twice(some_rows(placement, 1));
      twice(some_rows(placement, 2));
      sync(mine);
      const std::vector<nn::BatchNorm*> layers = {&twice, &sync, &twice};
      const std::vector<Tensor> dy = {some_rows(placement, 3), mine, some_rows(placement, 4)};
      std::vector<Tensor> dx;
      for (const auto& gradients :
           together ? nn::backward_together(layers, dy) : std::vector<nn::FusedGradients>()) {
        dx.push_back(gradients.dx);
      }
      for (std::size_t i = dx.size(); i < layers.size(); ++i) {
        dx.push_back(layers[i]->backward(dy[i]));
      }
      EXPECT_FALSE(dx[1].is_global());
      for (const Tensor& one : {dx[0].to_local(), dx[1], dx[2].to_local(), twice.weight.grad(),
                                twice.bias.grad(), sync.weight.grad()}) {
        seen.push_back(values(one));
      }
      EXPECT_TRUE(twice.weight.grad().is_global());
      EXPECT_EQ(twice.pending_backwards(), 0);
    }
    EXPECT_EQ(std::vector(seen.begin(), seen.begin() + 6),
              std::vector(seen.begin() + 6, seen.end()));
  });
}

TEST(BackwardTogether, WrongArgumentsOnOneRankAreAnErrorOnAll) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    nn::BatchNorm1d local(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = some_rows(placement, 1);
    layer(x);
    const auto expect = [&](const std::vector<nn::BatchNorm*>& layers,
                            const std::vector<Tensor>& dy, const char* text) {
      if (ranks::rank(placement) == 1) {
        expect_throws<ValueError>([&] { nn::backward_together(layers, dy); },
                                  {"nn::backward_together: got ", text});
      } else {
        expect_throws<CommunicationError>([&] { nn::backward_together({&layer}, {x}); },
                                          {"rank 1 of 2 failed: ", text});
      }
      EXPECT_EQ(layer.pending_backwards(), 1);
      EXPECT_FALSE(layer.weight.grad().defined());
    };
    expect({&layer}, {}, "1 layers and 0 gradients");
    expect({&layer, nullptr}, {x, x}, "a null layer at index 1");
    expect({&local, &layer}, {x, x}, "BatchNorm1d at index 0, a local layer");
    expect_throws<ValueError>([&] { nn::backward_together({&local}, {x}); },
                              {"wanted global layers"});
    EXPECT_NO_THROW(nn::backward_together({&layer}, {x}));
    expect_throws<ValueError>([&] { nn::backward_together({&layer}, {x}); }, {"got no forward"});
  });
}

}  // namespace
