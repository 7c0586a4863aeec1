#pragma once

#include <halnorm/halnorm.h>

#include <cstdint>
#include <vector>

namespace demo {

struct Loss {
  double value = 0;
  halnorm::Tensor gradient;  ///< with respect to the logits
};

/// The mean over a batch of -log(softmax(logits)[label]); logits are (N, classes).
Loss cross_entropy(const halnorm::Tensor& logits, const std::vector<std::int64_t>& labels);

/// How many rows of the logits have their largest element at the label. A row with a NaN is wrong.
std::int64_t count_correct(const halnorm::Tensor& logits, const std::vector<std::int64_t>& labels);

}  // namespace demo
