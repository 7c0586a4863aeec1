#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "distributed/overlapping.h"
#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

/// @file
/// Exchanges that are pending while kernels run give the same bits and the same errors.

namespace {

using halnorm::CommunicationError;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
namespace nn = halnorm::nn;

using overlapping::Engine;
using overlapping::run;
using overlapping::Trace;

constexpr Engine engines[] = {Engine::Blocking, Engine::Early, Engine::Late};
const std::vector<std::int64_t> lengths = {7, 0, 4};

void append(std::vector<double>& values, const Tensor& tensor) {
  const Tensor own =
      tensor.is_global() && !tensor.sbp().is_broadcast() ? tensor.to_local() : tensor;
  const auto more = own.to_vector<double>();
  values.insert(values.end(), more.begin(), more.end());
}

std::shared_ptr<nn::BatchNorm> global_layer(std::shared_ptr<nn::BatchNorm> layer,
                                            const Placement& placement) {
  layer->to_global(placement, Sbp::broadcast());
  return layer;
}

/// Three layers: of 4 channels, of none, and a fused one of 6. Each has one forward.
struct Branches {
  std::vector<std::shared_ptr<nn::BatchNorm>> layers;
  std::vector<Tensor> gradients;
  std::vector<Tensor> y;

  Branches(const Placement& placement, const std::vector<std::int64_t>& rows) {
    layers = {global_layer(std::make_shared<nn::BatchNorm1d>(4), placement),
              global_layer(std::make_shared<nn::BatchNorm1d>(0), placement),
              global_layer(std::make_shared<nn::FusedBatchNorm1d>(6), placement)};
    std::uint64_t seed = 1;
    for (const auto& layer : layers) {
      const halnorm::Shape shape = {11, layer->num_features(), 3};
      y.push_back((*layer)(ranks::split_rows(ranks::normal(shape, seed++, 2), rows, placement)));
      gradients.push_back(ranks::split_rows(ranks::normal(shape, seed++), rows, placement));
    }
  }
  [[nodiscard]] std::vector<nn::BatchNorm*> pointers() const {
    std::vector<nn::BatchNorm*> all;
    for (const auto& layer : layers) {
      all.push_back(layer.get());
    }
    return all;
  }
  /// The bits of all results of a step.
  [[nodiscard]] std::vector<double> bits(const std::vector<Tensor>& dx) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      append(values, y[i]);
      append(values, dx[i]);
      append(values, layers[i]->running_var);
      append(values, layers[i]->weight.grad());
      append(values, layers[i]->bias.grad());
    }
    return values;
  }
};

std::vector<Tensor> one_by_one(const Branches& branches) {
  std::vector<Tensor> dx;
  for (std::size_t i = 0; i < branches.layers.size(); ++i) {
    dx.push_back(branches.layers[i]->backward(branches.gradients[i]));
  }
  return dx;
}

std::vector<Tensor> together(const Branches& branches) {
  std::vector<Tensor> dx;
  for (auto& gradients : nn::backward_together(branches.pointers(), branches.gradients)) {
    EXPECT_FALSE(gradients.daddend.defined());
    dx.push_back(gradients.dx);
  }
  return dx;
}

TEST(PendingExchanges, GivesTheSameBits) {
  std::vector<std::vector<double>> wanted(3);
  for (const Engine engine : engines) {
    run(3, engine, [&](const Placement& placement, Trace& trace) {
      for (const auto& backward : {one_by_one, together}) {
        const Branches branches(placement, lengths);
        const auto got = branches.bits(backward(branches));
        auto& first = wanted[static_cast<std::size_t>(ranks::rank(placement))];
        if (first.empty()) {
          first = got;
        }
        EXPECT_EQ(got, first);
      }
      EXPECT_EQ(trace.started.empty(), engine == Engine::Blocking);
    });
  }
}

TEST(PendingExchanges, SumsOfSeveralLayersArePendingAtOnce) {
  for (const Engine engine : {Engine::Early, Engine::Late}) {
    run(2, engine, [](const Placement& placement, Trace& trace) {
      const Branches branches(placement, {6, 5});
      trace.started.clear();
      trace.most_pending = 0;
      together(branches);
      EXPECT_EQ(trace.started, (std::vector<std::size_t>{8, 64, 96}));
      EXPECT_EQ(trace.most_pending, 2);
      trace.started.clear();
      (*branches.layers[0])(branches.gradients[0]);
      EXPECT_EQ(trace.started, (std::vector<std::size_t>{8, 72}));
    });
  }
}

TEST(PendingExchanges, ABadInputOnOneRankAloneIsAnErrorOnAll) {
  for (const Engine engine : engines) {
    run(2, engine, [](const Placement& placement, Trace& /*trace*/) {
      const auto layer = global_layer(std::make_shared<nn::BatchNorm1d>(3), placement);
      const Tensor good = ranks::split_rows(ranks::normal({6, 3}, 1), {4, 2}, placement);
      const Tensor wide = ranks::split_rows(ranks::normal({6, 4}, 1), {4, 2}, placement);
      if (ranks::rank(placement) == 1) {
        expect_throws<ShapeError>([&] { (*layer)(wide); }, {"3 channels", "got 4"});
      } else {
        expect_throws<CommunicationError>([&] { (*layer)(good); }, {"rank 1 of 2 failed: "});
      }
      EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 0);
      EXPECT_NO_THROW((*layer)(good));
      const bool other = ranks::rank(placement) == 1;
      layer->set_eps(other ? 0.5 : 0.25);
      expect_throws<ValueError>([&] { (*layer)(good); }, {"'eps: 0.5' on rank 1"});
    });
  }
}

thread_local bool kernels_fail = false;

/// Kernels have two threads, and fail on a rank whose `kernels_fail` is set.
class FragileKernels {
 public:
  FragileKernels() : threads_(halnorm::get_num_threads()) {
    halnorm::set_num_threads(2);
    halnorm::set_parallel_for([](const halnorm::ParallelLoop& loop) {
      if (kernels_fail) {
        throw std::runtime_error("a kernel failed");
      }
      for (int i = 0; i < loop.count(); ++i) {
        loop.run(i);
      }
    });
  }
  ~FragileKernels() {
    halnorm::set_parallel_for({});
    halnorm::set_num_threads(threads_);
  }
  FragileKernels(const FragileKernels&) = delete;
  FragileKernels& operator=(const FragileKernels&) = delete;

 private:
  int threads_;
};

/// Calls call(), in which the kernels of rank 1 alone fail.
void expect_failed_kernel(const Placement& placement, const std::function<void()>& call) {
  if (ranks::rank(placement) == 1) {
    kernels_fail = true;
    EXPECT_NE(ranks::message_of(call).find("a kernel failed"), std::string::npos);
    kernels_fail = false;
  } else {
    expect_throws<CommunicationError>(call, {"rank 1 of 2 failed: ", "a kernel failed"});
  }
}

TEST(PendingExchanges, AKernelThatFailsOnOneRankIsAnErrorOnAll) {
  const FragileKernels fragile;
  for (const Engine engine : engines) {
    run(2, engine, [](const Placement& placement, Trace& /*trace*/) {
      const auto place = [&](std::int64_t channels) {
        return ranks::split_rows(ranks::normal({4096, channels}, 1), {2048, 2048}, placement);
      };
      const auto small = global_layer(std::make_shared<nn::BatchNorm1d>(1), placement);
      const auto large = global_layer(std::make_shared<nn::BatchNorm1d>(64), placement);
      expect_failed_kernel(placement, [&] { (*large)(place(64)); });
      EXPECT_EQ(large->num_batches_tracked.item<std::int64_t>(), 0);
      EXPECT_EQ(large->pending_backwards(), 0);
      (*small)(place(1));
      (*large)(place(64));
      expect_failed_kernel(placement, [&] { large->backward(place(64)); });
      const std::vector<nn::BatchNorm*> both = {small.get(), large.get()};
      expect_failed_kernel(placement, [&] { nn::backward_together(both, {place(1), place(64)}); });
      EXPECT_FALSE(small->weight.grad().defined());
      EXPECT_EQ(small->pending_backwards() + large->pending_backwards(), 2);
      EXPECT_NO_THROW(nn::backward_together(both, {place(1), place(64)}));
    });
  }
}

TEST(PendingExchanges, AFailedWaitEndsTheOthersAndTheRecordStays) {
  for (const Engine engine : {Engine::Early, Engine::Late}) {
    for (const int failing : {1, 2, 3}) {
      run(2, engine, [&](const Placement& placement, Trace& trace) {
        const Branches branches(placement, {6, 5});
        trace.fail_in_wait = failing;
        expect_throws<CommunicationError>(
            [&] { together(branches); },
            {"nn::backward_together: all_gather of ",
             "failed on rank " + std::to_string(ranks::rank(placement)), "the network is down"});
        EXPECT_EQ(trace.pending, 0);
        EXPECT_FALSE(branches.layers[0]->weight.grad().defined());
        EXPECT_EQ(branches.layers[2]->pending_backwards(), 1);
        EXPECT_NO_THROW(together(branches)) << "this engine goes on";
      });
    }
  }
}

}  // namespace
