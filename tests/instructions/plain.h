#pragma once

#include <cstddef>
#include <vector>

/// @file
/// Batch normalization in plain loops: float32, two passes, sums in float32, with the values per
/// channel computed outside of the inner loop.

namespace plain {

/// Sizes, and the index of an element: (N, C, L) or, channels last, (N, L, C).
struct Batch {
  std::size_t N, C, L;
  bool channels_last;
};

struct Layer {
  std::vector<float> weight, bias, mean, var;
  float eps;
};

using Values = std::vector<float>;

// Channel by channel, as the formulas have it.
void train(const Batch& b, const Layer& layer, const Values& x, Values& y);
void infer(const Batch& b, const Layer& layer, const Values& x, Values& y);
void backward(const Batch& b, const Layer& layer, const Values& dy, const Values& x, Values& dx);

// Channels last and row by row, so that the inner loop runs over neighbours, which GCC vectorizes.
void train_rows(const Batch& b, const Layer& layer, const Values& x, Values& y);
void infer_rows(const Batch& b, const Layer& layer, const Values& x, Values& y);
void backward_rows(const Batch& b, const Layer& layer, const Values& dy, const Values& x,
                   Values& dx);

}  // namespace plain
