#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"

using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

constexpr int callers = 8;
constexpr int rounds = 20;

void on_threads(const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < callers; ++i) {
    threads.emplace_back(body, i);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

/// The results of some steps of training: dx, the gradients and the running statistics.
std::vector<double> trained(std::uint64_t seed) {
  BatchNorm1d layer(70, {.momentum = seed % 2 == 0 ? std::optional(0.1) : std::nullopt});
  std::vector<double> all;
  for (int round = 0; round < rounds; ++round) {
    const Tensor x = Tensor::randn({40, 70}, seed + static_cast<std::uint64_t>(round));
    layer(x);
    for (const Tensor& tensor : {layer.backward(x), layer.weight.grad(), layer.bias.grad(),
                                 layer.running_mean, layer.running_var}) {
      const std::vector<double> more = values(tensor);
      all.insert(all.end(), more.begin(), more.end());
    }
  }
  return all;
}

/// Each caller runs one module in evaluation mode on its own batch.
void evaluate_together(bool keep_records) {
  BatchNorm1d layer(70);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    layer(Tensor::randn({300, 70}, seed));
  }
  layer.eval();
  std::vector<Tensor> batches;
  std::vector<std::vector<double>> alone;
  for (int i = 0; i < callers; ++i) {
    batches.push_back(Tensor::randn({300, 70}, std::uint64_t{100} + static_cast<std::uint64_t>(i)));
    alone.push_back(values(layer(batches.back())));
  }
  std::atomic<int> right{0};
  on_threads([&](int i) {
    const auto guard = keep_records ? nullptr : std::make_unique<halnorm::NoGradGuard>();
    for (int round = 0; round < rounds; ++round) {
      const auto at = static_cast<std::size_t>(i);
      right += values(layer(batches[at])) == alone[at] ? 1 : 0;
    }
  });
  EXPECT_EQ(right.load(), callers * rounds);
}

}  // namespace

TEST(Concurrency, ManyThreadsEvaluateOneModule) { evaluate_together(false); }

TEST(Concurrency, AndMayKeepRecordsForBackward) { evaluate_together(true); }

TEST(Concurrency, ManyModulesTrainSideBySide) {
  std::vector<std::vector<double>> alone;
  for (int i = 0; i < callers; ++i) {
    alone.push_back(trained(std::uint64_t{1000} * static_cast<std::uint64_t>(i)));
  }
  std::vector<std::vector<double>> together(callers);
  on_threads([&](int i) {
    together[static_cast<std::size_t>(i)] =
        trained(std::uint64_t{1000} * static_cast<std::uint64_t>(i));
  });
  EXPECT_EQ(together, alone);
}

TEST(Concurrency, ThreadsMayBeCountedMeanwhile) {
  const Tensor x = Tensor::randn({300, 70}, 1);
  const auto call = [&] {
    return values(halnorm::functional::batch_norm_train(x, {}, {}, 1e-5).y);
  };
  const std::vector<double> alone = call();
  std::atomic<int> right{0};
  on_threads([&](int i) {
    for (int round = 0; round < rounds; ++round) {
      if (i == 0) {
        halnorm::set_num_threads(1 + round % 4);
      }
      right += call() == alone ? 1 : 0;
    }
  });
  halnorm::set_num_threads(0);
  EXPECT_EQ(right.load(), callers * rounds);
}
