#include <halnorm/halnorm.h>

/// A host's shared object that uses halnorm: it trains, in parallel, and reports an error.
extern "C" __attribute__((visibility("default"))) int halnorm_test_plugin() {
  using halnorm::Tensor;
  halnorm::set_num_threads(2);
  halnorm::nn::BatchNorm1d layer(32);
  const Tensor x = Tensor::randn({64, 32, 128}, 1);
  const Tensor y = layer(x);
  layer.backward(x);
  try {
    layer(Tensor::ones({2, 3}));
  } catch (const halnorm::ShapeError&) {
    return y.shape() == x.shape() ? 0 : 1;
  }
  return 2;
}
