#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

/// @file
/// A failure of one rank is an error on all of them, and the next call works.

namespace {

using halnorm::CommunicationError;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
namespace nn = halnorm::nn;

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

Tensor some_rows(const Placement& placement, std::int64_t channels = 3) {
  return ranks::split_rows(ranks::normal({6, channels}, 1), {4, 2}, placement);
}

void expect_untouched(const nn::BatchNorm1d& layer) {
  EXPECT_EQ(values(layer.running_mean), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_EQ(layer.pending_backwards(), 0);
}

TEST(Faults, ABadInputOnOneRankAloneIsAnErrorOnAll) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor good = some_rows(placement);
    const Tensor wide = some_rows(placement, 4);
    if (ranks::rank(placement) == 1) {
      expect_throws<ShapeError>([&] { layer(wide); }, {"3 channels", "got 4"});
    } else {
      expect_throws<CommunicationError>(
          [&] { layer(good); }, {"BatchNorm1d.forward: rank 1 of 2 failed: ", "3 channels"});
    }
    expect_untouched(layer);
    EXPECT_EQ(layer(good).shape(), (halnorm::Shape{6, 3})) << "a second attempt works";
  });
}

TEST(Faults, OptionsThatDifferAreNamedOnAllRanks) {
  ranks::run(2, [](const Placement& placement) {
    const bool other = ranks::rank(placement) == 1;
    const Tensor x = some_rows(placement);
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    layer.set_eps(other ? 0.5 : 0.25);
    expect_throws<ValueError>([&] { layer(x); }, {"'eps: 0.5' on rank 1", "'eps: 0.25' on rank 0"});
    layer.set_eps(0.5);
    layer.set_momentum(other ? 0.2 : 0.1);
    expect_throws<ValueError>([&] { layer(x); }, {"factor: 0.2", "factor: 0.1"});
    layer.set_momentum(0.1);
    layer.set_track_running_stats(other);
    expect_throws<ValueError>([&] { layer(x); }, {"rank 1", "rank 0", "not counted"});
    layer.set_track_running_stats(true);
    expect_untouched(layer);
    EXPECT_NO_THROW(layer(x));
  });
}

TEST(Faults, DifferentCallsAreNamedOnAllRanks) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = some_rows(placement);
    layer(x);
    expect_throws<ValueError>([&] { ranks::rank(placement) == 0 ? layer(x) : layer.backward(x); },
                              {"'operation: BatchNorm1d.backward' on rank 1",
                               "'operation: BatchNorm1d.forward' on rank 0"});
    EXPECT_EQ(layer.pending_backwards(), 1);
    EXPECT_NO_THROW(layer.backward(x));
  });
}

TEST(Faults, ABackwardThatOneRankCannotMakeIsAnErrorOnAll) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = some_rows(placement);
    layer(x);
    if (ranks::rank(placement) == 0) {
      expect_throws<ValueError>(
          [&] {
            layer.backward(Tensor::ones({4, 3}));
          },
          {"inconsistent attributes", "grad_output is local"});
    } else {
      expect_throws<CommunicationError>([&] { layer.backward(x); }, {"rank 0 of 2 failed"});
    }
    EXPECT_FALSE(layer.weight.grad().defined());
    EXPECT_NO_THROW(layer.backward(x));
    expect_throws<ValueError>([&] { layer.backward(x); }, {"got no forward"});
  });
}

TEST(Faults, WrittenElementsAreFoundInParts) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    const Tensor x = some_rows(placement);
    layer(x);
    x.to_local().fill_(1);
    expect_throws<ValueError>([&] { layer.backward(x); }, {"x was written since its forward"});
  });
}

TEST(Faults, LocalAndGlobalDoNotMix) {
  ranks::run(2, [](const Placement& placement) {
    const Tensor x = some_rows(placement);
    nn::BatchNorm1d local(3);
    expect_throws<ValueError>([&] { local(x); }, {"inconsistent attributes", "x is global"});
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    expect_throws<ValueError>([&] { layer(Tensor::ones({4, 3})); }, {"x is local"});
    layer.running_mean = Tensor::zeros({3});
    expect_throws<ValueError>([&] { layer(x); }, {"running_mean is local"});
    layer.eval();
    expect_throws<ValueError>([&] { layer(x); }, {"running_mean is local"});
    layer.train();
    expect_untouched(layer);
    const Tensor out = Tensor::empty({4, 3});
    layer.running_mean = layer.running_mean.to_global(placement, Sbp::broadcast());
    expect_throws<ValueError>([&] { layer(x, out); }, {"out is local"});
  });
}

TEST(Faults, APlacementOfAnotherCommunicatorIsAnother) {
  ranks::run(2, [](const Placement& placement) {
    ranks::run(1, [&](const Placement& alone) {
      nn::BatchNorm1d layer(3);
      layer.to_global(placement, Sbp::broadcast());
      const Tensor x = ranks::normal({4, 3}, 1).to_global(alone, Sbp::split(0));
      expect_throws<ValueError>([&] { layer(x); }, {"at least two placements", "[0]", "[0, 1]"});
      expect_throws<ValueError>([&] { layer.to_global(alone); }, {"at least two placements"});
    });
  });
}

/// Fails in the n-th exchange from now on.
class Failing : public halnorm::Communicator {
 public:
  Failing(std::shared_ptr<halnorm::Communicator> inner, const int& exchanges)
      : inner_(std::move(inner)), left_(exchanges) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    if (left_ > 0) {
      --left_;
      if (left_ == 0) {
        throw std::runtime_error("the network is down");
      }
    }
    inner_->all_gather(mine, all, bytes);
  }
  void fail_after(int exchanges) { left_ = exchanges; }

 private:
  std::shared_ptr<halnorm::Communicator> inner_;
  int left_;
};

TEST(Faults, ErrorsOfACommunicatorNameRankAndOperation) {
  std::vector<Failing*> failing(2);
  ranks::run(
      2,
      [&](std::shared_ptr<halnorm::Communicator> own) {
        auto made = std::make_shared<Failing>(std::move(own), 0);
        failing[static_cast<std::size_t>(made->rank())] = made.get();
        return made;
      },
      [&](const Placement& placement) {
        nn::BatchNorm1d layer(3);
        layer.to_global(placement, Sbp::broadcast());
        const Tensor x = some_rows(placement);
        const int rank = ranks::rank(placement);
        for (const int exchange : {1, 2}) {
          failing[static_cast<std::size_t>(rank)]->fail_after(exchange);
          expect_throws<CommunicationError>(
              [&] { layer(x); },
              {"BatchNorm1d.forward: all_gather of " + std::string(exchange == 1 ? "8" : "56"),
               "failed on rank " + std::to_string(rank) + " of 2: the network is down"});
          expect_untouched(layer);
        }
        EXPECT_NO_THROW(layer(x));
      });
}

TEST(Faults, NanStaysInItsChannel) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(3);
    layer.to_global(placement, Sbp::broadcast());
    Tensor x = ranks::normal({6, 3}, 1);
    x.narrow(0, 5, 1).narrow(1, 1, 1).fill_(std::nan(""));
    layer(ranks::split_rows(x, {4, 2}, placement));
    const auto mean = values(layer.running_mean);
    EXPECT_FALSE(std::isnan(mean[0]));
    EXPECT_TRUE(std::isnan(mean[1])) << "on the rank without the NaN too";
    EXPECT_FALSE(std::isnan(mean[2]));
  });
}

}  // namespace
