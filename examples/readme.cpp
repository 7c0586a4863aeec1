// README begins
#include <halnorm/halnorm.h>

#include <iostream>

int main() {
  halnorm::nn::BatchNorm1d norm(100);
  const auto x = halnorm::Tensor::randn({20, 100}, /*seed=*/1);
  const auto y = norm(x);                                           // training: batch statistics
  const auto dx = norm.backward(halnorm::Tensor::ones(y.shape()));  // adds to weight, bias grads
  const auto served = norm.eval()(x);                               // running statistics
  std::cout << norm << "\n" << halnorm::last_kernel() << "\n";
}
// README ends
