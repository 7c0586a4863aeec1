#include "c_api/forward_backward.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::backward;
using halnorm::c_api::BackwardTensors;
using halnorm::c_api::Call;
using halnorm::c_api::infer;
using halnorm::c_api::required;

halnorm_status halnorm_batch_norm_infer(const DLTensor* x, const DLTensor* running_mean,
                                        const DLTensor* running_var, const DLTensor* weight,
                                        const DLTensor* bias, double eps, const DLTensor* y) {
  return infer(__func__, {x, nullptr, running_mean, running_var, weight, bias, y},
               [&](const Tensor& data, const Tensor& /*addend*/, const Tensor& mean,
                   const Tensor& var, const Tensor& scale, const Tensor& shift, const Tensor& out) {
                 F::batch_norm_infer(data, mean, var, scale, shift, eps, out);
               });
}

halnorm_status halnorm_batch_norm_backward_infer(const DLTensor* dy, const DLTensor* x,
                                                 const DLTensor* weight,
                                                 const DLTensor* running_mean,
                                                 const DLTensor* running_var, double eps,
                                                 const DLTensor* dx, const DLTensor* dweight,
                                                 const DLTensor* dbias) {
  return backward(
      __func__, {dy, x, weight, dx, dweight, dbias}, [&](Call& call, const BackwardTensors& t) {
        return F::batch_norm_backward_infer(t.dy, t.x, t.weight,
                                            required(call, "running_mean", running_mean),
                                            required(call, "running_var", running_var), eps, t.dx);
      });
}
