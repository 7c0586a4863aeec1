#include <halnorm/functional.h>

/// A program that trains and infers: it is linked without the kernels of fused operations.
int main() {
  using halnorm::Tensor;
  namespace F = halnorm::functional;
  const Tensor x = Tensor::randn({8, 4}, 1);
  const Tensor weight = Tensor::ones({4});
  const F::BatchNormForward forward = F::batch_norm_train(x, weight, {}, 1e-5);
  const F::BatchNormBackward back =
      F::batch_norm_backward(x, x, weight, forward.mean, forward.invstd);
  const Tensor y = F::batch_norm_infer(x, weight, weight, {}, {}, 1e-5);
  return back.dx.shape() == y.shape() ? 0 : 1;
}
