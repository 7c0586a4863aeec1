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
                 const Recipe& recipe, std::uint64_t seed, std::optional<halnorm::Placement> ranks)
    : network_(std::move(network)),
      dataset_(dataset),
      recipe_(recipe),
      optimizer_(network_->parameters()),
      ranks_(std::move(ranks)),
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
    epoch.loss += train_on({first, first + batch});
  }
  const Tensor loss = Tensor::full({}, epoch.loss, halnorm::DType::Float64);
  epoch.loss = sum_over_ranks(loss).item<double>() / static_cast<double>(batches);
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

double Trainer::train_on(const std::vector<std::int64_t>& numbers) {
  const Examples batch = dataset_.train.pick(rows_of_this_rank(numbers));
  const Loss loss = cross_entropy((*network_)(batch.x), batch.labels, recipe_.batch_size);
  kernels_.insert(halnorm::last_kernel());
  network_->zero_grad();
  network_->backward(loss.gradient);
  kernels_.insert(halnorm::last_kernel());
  if (ranks_) add_up_gradients();
  optimizer_.step(learning_rate());
  return loss.value;
}

/// This takes one exchange. A synchronized layer has already added up its gradients.
void Trainer::add_up_gradients() {
  std::vector<Tensor> gradients;
  std::int64_t count = 0;
  for (const halnorm::Parameter& parameter : network_->parameters()) {
    if (parameter.grad().is_global()) continue;
    gradients.push_back(parameter.grad());
    count += parameter.grad().numel();
  }
  Tensor all = Tensor::empty({count});
  const auto for_each_part = [&](auto visit) {
    std::int64_t begin = 0;
    for (Tensor& gradient : gradients) {
      Tensor part = all.narrow(0, begin, gradient.numel());
      visit(gradient, part);
      begin += gradient.numel();
    }
  };
  for_each_part([](Tensor& gradient, Tensor& part) { part.copy_(gradient.reshape({-1})); });
  all = sum_over_ranks(all);
  for_each_part(
      [](Tensor& gradient, Tensor& part) { gradient.copy_(part.reshape(gradient.shape())); });
}

std::vector<std::int64_t> Trainer::rows_of_this_rank(std::vector<std::int64_t> batch) const {
  if (!ranks_) return batch;
  const auto size = static_cast<std::ptrdiff_t>(batch.size());
  const auto count = static_cast<std::ptrdiff_t>(ranks_->ranks().size());
  const std::ptrdiff_t rank = ranks_->group().rank();
  return {batch.begin() + size * rank / count, batch.begin() + size * (rank + 1) / count};
}

Tensor Trainer::sum_over_ranks(const Tensor& own) const {
  if (!ranks_) return own;
  const Tensor parts = own.to_global(*ranks_, halnorm::Sbp::partial_sum());
  return parts.to_global(halnorm::Sbp::broadcast()).to_local();
}

float Trainer::learning_rate() const {
  const double done = static_cast<double>(curve_.size()) / recipe_.epochs;
  return recipe_.learning_rate *
         static_cast<float>((1.0 + std::cos(std::numbers::pi * done)) / 2.0);
}

}  // namespace demo
