#pragma once

#include <halnorm/halnorm.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dataset.h"
#include "optimizer.h"

namespace demo {

struct Recipe {
  int epochs = 1;
  std::int64_t batch_size = 1;
  float learning_rate = 0.1F;  ///< of the first epoch; falls to zero along half a cosine
};

struct Epoch {
  double loss = 0;  ///< the mean over the epoch's batches
  double train_accuracy = 0;
  double test_accuracy = 0;
};

/// The network's output for all of x, in eval mode and without records for a backward.
halnorm::Tensor predict(halnorm::nn::Module& network, const halnorm::Tensor& x);

/// The share of the examples whose label has the largest output.
double accuracy(halnorm::nn::Module& network, const Examples& examples);

/// Trains one network, epoch by epoch. Two trainers of one recipe and one seed show their
/// networks the same examples in the same order.
///
/// With a placement the training is data-parallel: each rank has a copy of the network, computes on
/// its rows of each batch, and adds up the gradients with the others'. Batches need a row for each.
class Trainer {
 public:
  Trainer(std::shared_ptr<halnorm::nn::Module> network, const Dataset& dataset,
          const Recipe& recipe, std::uint64_t seed,
          std::optional<halnorm::Placement> ranks = std::nullopt);

  Epoch run_epoch();
  [[nodiscard]] const std::vector<Epoch>& curve() const { return curve_; }
  [[nodiscard]] halnorm::nn::Module& network() const { return *network_; }
  /// The halnorm kernels that ran last in each forward and backward.
  [[nodiscard]] const std::set<std::string>& kernels() const { return kernels_; }

 private:
  void shuffle();
  /// Returns this rank's part of the loss.
  double train_on(const std::vector<std::int64_t>& numbers);
  [[nodiscard]] std::vector<std::int64_t> rows_of_this_rank(std::vector<std::int64_t> batch) const;
  void add_up_gradients();
  [[nodiscard]] halnorm::Tensor sum_over_ranks(const halnorm::Tensor& own) const;
  [[nodiscard]] float learning_rate() const;

  std::shared_ptr<halnorm::nn::Module> network_;
  const Dataset& dataset_;
  Recipe recipe_;
  Sgd optimizer_;
  std::optional<halnorm::Placement> ranks_;
  std::mt19937_64 random_;
  std::vector<std::int64_t> order_;
  std::vector<Epoch> curve_;
  std::set<std::string> kernels_;
};

}  // namespace demo
