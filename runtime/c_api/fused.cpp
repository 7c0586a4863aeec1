#include "c_api/forward_backward.h"
#include "halnorm/functional_fused.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::BackwardArguments;
using halnorm::c_api::BackwardTensors;
using halnorm::c_api::Call;
using halnorm::c_api::InferArguments;
using halnorm::c_api::required;
using halnorm::c_api::TrainArguments;
using halnorm::c_api::TrainTensors;

namespace {

halnorm_status infer(const char* function, const InferArguments& given, double eps, double slope) {
  return halnorm::c_api::infer(
      function, given,
      [&](const Tensor& x, const Tensor& addend, const Tensor& mean, const Tensor& var,
          const Tensor& weight, const Tensor& bias, const Tensor& y) {
        F::batch_norm_fused_infer(x, addend, mean, var, weight, bias, eps, y, slope);
      });
}

halnorm_status train(const char* function, const TrainArguments& given, double momentum, double eps,
                     double slope) {
  return halnorm::c_api::train(function, given, [&](const TrainTensors& t) {
    return t.running.mean.defined()
               ? F::batch_norm_fused_train_update(t.x, t.addend, t.running.mean, t.running.var,
                                                  t.weight, t.bias, momentum, eps, t.y, slope)
               : F::batch_norm_fused_train(t.x, t.addend, t.weight, t.bias, eps, t.y, slope);
  });
}

halnorm_status backward(const char* function, const BackwardArguments& given, const DLTensor* mean,
                        const DLTensor* invstd, double slope) {
  return halnorm::c_api::backward(function, given, [&](Call& call, const BackwardTensors& t) {
    return F::batch_norm_fused_backward(t.dy, t.x, t.y, t.weight, required(call, "mean", mean),
                                        required(call, "invstd", invstd), t.dx, slope);
  });
}

halnorm_status backward_infer(const char* function, const BackwardArguments& given,
                              const DLTensor* running_mean, const DLTensor* running_var, double eps,
                              double slope) {
  return halnorm::c_api::backward(function, given, [&](Call& call, const BackwardTensors& t) {
    return F::batch_norm_fused_backward_infer(
        t.dy, t.x, t.y, t.weight, required(call, "running_mean", running_mean),
        required(call, "running_var", running_var), eps, t.dx, slope);
  });
}

}  // namespace

halnorm_status halnorm_batch_norm_fused_infer(const DLTensor* x, const DLTensor* addend,
                                              const DLTensor* running_mean,
                                              const DLTensor* running_var, const DLTensor* weight,
                                              const DLTensor* bias, double eps, const DLTensor* y) {
  return infer(__func__, {x, addend, running_mean, running_var, weight, bias, y}, eps, 0);
}

halnorm_status halnorm_batch_norm_fused_infer_leaky(const DLTensor* x, const DLTensor* addend,
                                                    const DLTensor* running_mean,
                                                    const DLTensor* running_var,
                                                    const DLTensor* weight, const DLTensor* bias,
                                                    double eps, double slope, const DLTensor* y) {
  return infer(__func__, {x, addend, running_mean, running_var, weight, bias, y}, eps, slope);
}

halnorm_status halnorm_batch_norm_fused_train(const DLTensor* x, const DLTensor* addend,
                                              const DLTensor* weight, const DLTensor* bias,
                                              const DLTensor* running_mean,
                                              const DLTensor* running_var, double momentum,
                                              double eps, const DLTensor* y, const DLTensor* mean,
                                              const DLTensor* invstd) {
  return train(__func__, {x, addend, weight, bias, running_mean, running_var, y, mean, invstd},
               momentum, eps, 0);
}

halnorm_status halnorm_batch_norm_fused_train_leaky(const DLTensor* x, const DLTensor* addend,
                                                    const DLTensor* weight, const DLTensor* bias,
                                                    const DLTensor* running_mean,
                                                    const DLTensor* running_var, double momentum,
                                                    double eps, double slope, const DLTensor* y,
                                                    const DLTensor* mean, const DLTensor* invstd) {
  return train(__func__, {x, addend, weight, bias, running_mean, running_var, y, mean, invstd},
               momentum, eps, slope);
}

halnorm_status halnorm_batch_norm_fused_backward(const DLTensor* dy, const DLTensor* x,
                                                 const DLTensor* y, const DLTensor* weight,
                                                 const DLTensor* mean, const DLTensor* invstd,
                                                 const DLTensor* dx, const DLTensor* daddend,
                                                 const DLTensor* dweight, const DLTensor* dbias) {
  return backward(__func__, {dy, x, weight, dx, dweight, dbias, y, daddend, true}, mean, invstd, 0);
}

halnorm_status halnorm_batch_norm_fused_backward_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* mean, const DLTensor* invstd, double slope, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward(__func__, {dy, x, weight, dx, dweight, dbias, y, daddend, true}, mean, invstd,
                  slope);
}

halnorm_status halnorm_batch_norm_fused_backward_infer(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward_infer(__func__, {dy, x, weight, dx, dweight, dbias, y, daddend, true},
                        running_mean, running_var, eps, 0);
}

halnorm_status halnorm_batch_norm_fused_backward_infer_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, double slope,
    const DLTensor* dx, const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward_infer(__func__, {dy, x, weight, dx, dweight, dbias, y, daddend, true},
                        running_mean, running_var, eps, slope);
}
