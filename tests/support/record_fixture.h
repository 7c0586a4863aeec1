#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "halnorm/halnorm.h"

/// The gradients of one forward, for the tests of what a layer records of it. Layer is a batch
/// normalization of 4 channels.
template <class Layer>
class RecordFixture : public ::testing::Test {
 protected:
  using Doubles = std::vector<double>;

  /// dx, dweight and dbias of a forward and a backward alone.
  static std::vector<Doubles> want(const halnorm::Tensor& input, const halnorm::Tensor& gradient,
                                   bool training) {
    Layer layer(4);
    layer.train(training);
    layer(input);
    return result(layer, gradient);
  }

  static std::vector<Doubles> result(Layer& layer, const halnorm::Tensor& gradient) {
    layer.zero_grad(true);
    const halnorm::Tensor dx = layer.backward(gradient);
    const auto values = [](const halnorm::Tensor& t) { return t.to_vector<double>(); };
    return {values(dx), values(layer.weight.grad()), values(layer.bias.grad())};
  }
};
