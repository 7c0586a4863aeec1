#include "trainer.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <utility>

#include "loss.h"

using halnorm::Tensor;

namespace demo {

Tensor predict(halnorm::nn::Module& network, const Tensor& x) {
  const halnorm::NoGradGuard no_grad;
  network.eval();
  return network(x);
}

double accuracy(halnorm::nn::Module& network, const Examples& examples) {
  const std::int64_t correct = count_correct(predict(network, examples.x), examples.labels);
  return static_cast<double>(correct) / static_cast<double>(examples.count());
}

Trainer::Trainer(std::shared_ptr<halnorm::nn::Module> network, const Dataset& dataset,
                 const Recipe& recipe, std::uint64_t seed)
    : network_(std::move(network)),
      dataset_(dataset),
      recipe_(recipe),
      optimizer_(network_->parameters()),
      random_(seed),
      order_(static_cast<std::size_t>(dataset.train.count())) {
  std::iota(order_.begin(), order_.end(), 0);
}

Epoch Trainer::run_epoch() {
  shuffle();
  network_->train();
  // The last examples of an order that do not fill a batch are left to the next epochs.
  const std::int64_t batches = dataset_.train.count() / recipe_.batch_size;
  Epoch epoch;
  const auto batch = static_cast<std::ptrdiff_t>(recipe_.batch_size);
  auto first = order_.begin();
  for (std::int64_t b = 0; b < batches; ++b, first += batch) {
    epoch.loss += train_on(dataset_.train.pick({first, first + batch}));
  }
  epoch.loss /= static_cast<double>(batches);
  epoch.train_accuracy = accuracy(*network_, dataset_.train);
  epoch.test_accuracy = accuracy(*network_, dataset_.test);
  kernels_.insert(halnorm::last_kernel());
  curve_.push_back(epoch);
  return epoch;
}

/// Fisher and Yates by hand: std::shuffle may order differently in another standard library.
void Trainer::shuffle() {
  for (std::size_t left = order_.size(); left > 1; --left) {
    std::swap(order_[left - 1], order_[static_cast<std::size_t>(random_() % left)]);
  }
}

double Trainer::train_on(const Examples& batch) {
  const Loss loss = cross_entropy((*network_)(batch.x), batch.labels);
  kernels_.insert(halnorm::last_kernel());
  network_->zero_grad();
  network_->backward(loss.gradient);
  kernels_.insert(halnorm::last_kernel());
  optimizer_.step(learning_rate());
  return loss.value;
}

float Trainer::learning_rate() const {
  const double done = static_cast<double>(curve_.size()) / recipe_.epochs;
  return recipe_.learning_rate *
         static_cast<float>((1.0 + std::cos(std::numbers::pi * done)) / 2.0);
}

}  // namespace demo
