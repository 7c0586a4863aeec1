#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "halnorm/tensor.h"

/// @file
/// The inputs whose results are recorded: the same values on every machine, made of integers.

namespace corpus {

/// A layer and a batch.
struct Case {
  std::string name;  ///< the shape, and what is odd about it
  halnorm::Tensor x, dy, addend;
  halnorm::Tensor weight, bias, running_mean, running_var;  ///< weight and bias may be undefined
  double eps = 1e-5;
  std::int64_t streaming_threshold = 0;
};

/// Shapes around the widths of vectors, blocks and folds; few and many rows; strided views; values
/// near the ends of the range; outputs by non-temporal stores.
std::vector<Case> make_cases(halnorm::DType dtype, bool channels_last);

}  // namespace corpus
