#pragma once

#include <halnorm/halnorm.h>

#include <cstdint>
#include <vector>

namespace demo {

struct Loss {
  double value = 0;
  halnorm::Tensor gradient;  ///< with respect to the logits
};

/// The sum over N rows of -log(softmax(logits)[label]), divided by `batch_size`; logits are (N,
/// classes). With N rows in the batch it is the mean; parts of a batch add up to the batch's mean.
Loss cross_entropy(const halnorm::Tensor& logits, const std::vector<std::int64_t>& labels,
                   std::int64_t batch_size);

/// How many rows of the logits have their largest element at the label. A row with a NaN is wrong.
std::int64_t count_correct(const halnorm::Tensor& logits, const std::vector<std::int64_t>& labels);

}  // namespace demo
