// Uses the installed package like a user: a layer, its gradient, an error, a kernel's name.

#include <halnorm/halnorm.h>

#include <cmath>
#include <iostream>

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (!holds) {
    ++failures;
    std::cerr << "not so: " << what << '\n';
  }
}

void train_and_differentiate() {
  halnorm::nn::BatchNorm1d layer(2);
  const float values[] = {1, 2, 3, 5};
  const auto x = halnorm::Tensor::from<float>(values, {2, 2});

  const auto y = layer(x).to_vector<double>();
  expect(std::abs(y[0] + 1) < 1e-4 && std::abs(y[3] - 1) < 1e-4, "y is [[-1, -1], [1, 1]]");
  const auto mean = layer.running_mean.to_vector<double>();
  expect(std::abs(mean[0] - 0.2) < 1e-6 && std::abs(mean[1] - 0.35) < 1e-6,
         "the running mean is [0.2, 0.35]");

  const auto dx = layer.backward(halnorm::Tensor::ones({2, 2})).to_vector<double>();
  expect(std::abs(dx[0]) < 1e-4, "a constant gradient does not reach x");
  expect(layer.bias.grad().to_vector<double>()[0] == 2, "the bias has the sum as its gradient");
}

void errors_are_exceptions() {
  halnorm::nn::BatchNorm1d layer(2);
  try {
    (void)layer(halnorm::Tensor::ones({4, 3}));
    expect(false, "three channels are refused by a layer for two");
  } catch (const halnorm::ShapeError& error) {
    std::cout << "refused: " << error.what() << '\n';
  }
}

}  // namespace

int main() {
  train_and_differentiate();
  errors_are_exceptions();
  std::cout << "ran " << halnorm::last_kernel() << " of " << halnorm::kernels().size() << '\n';
  expect(!halnorm::last_kernel().empty(), "a kernel ran");
  return failures;
}
