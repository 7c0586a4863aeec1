#include "loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

using halnorm::Tensor;

namespace demo {
namespace {

std::span<float> row(const Tensor& t, std::size_t n) {
  const auto width = static_cast<std::size_t>(t.size(1));
  return {t.data<float>() + n * width, width};
}

}  // namespace

Loss cross_entropy(const Tensor& logits, const std::vector<std::int64_t>& labels,
                   std::int64_t batch_size) {
  Loss loss{.value = 0, .gradient = Tensor::empty(logits.shape())};
  const auto N = static_cast<double>(batch_size);
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const std::span<float> scores = row(logits, n);
    const std::span<float> gradient = row(loss.gradient, n);
    const auto label = static_cast<std::size_t>(labels[n]);
    const double largest = *std::ranges::max_element(scores);  // so that exp() cannot overflow
    double sum = 0;
    for (const float score : scores) sum += std::exp(score - largest);
    for (std::size_t c = 0; c < scores.size(); ++c) {
      const double probability = std::exp(scores[c] - largest) / sum;
      gradient[c] = static_cast<float>((probability - (c == label ? 1.0 : 0.0)) / N);
    }
    loss.value += (std::log(sum) + largest - scores[label]) / N;
  }
  return loss;
}

std::int64_t count_correct(const Tensor& logits, const std::vector<std::int64_t>& labels) {
  std::int64_t correct = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const std::span<float> scores = row(logits, n);
    const float own = scores[static_cast<std::size_t>(labels[n])];
    if (std::ranges::all_of(scores, [own](float score) { return own >= score; })) ++correct;
  }
  return correct;
}

}  // namespace demo
