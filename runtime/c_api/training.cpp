#include <optional>

#include "c_api/forward_backward.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::backward;
using halnorm::c_api::BackwardTensors;
using halnorm::c_api::Call;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::optional_running;
using halnorm::c_api::required;
using halnorm::c_api::RunningStats;
using halnorm::c_api::train;
using halnorm::c_api::TrainTensors;

halnorm_status halnorm_batch_norm(const DLTensor* x, const DLTensor* running_mean,
                                  const DLTensor* running_var, const DLTensor* weight,
                                  const DLTensor* bias, int training, const double* momentum,
                                  double eps, const DLTensor* y) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const RunningStats running = optional_running(call, running_mean, running_var);
    const std::optional<double> factor =
        momentum == nullptr ? std::nullopt : std::optional(*momentum);
    F::batch_norm(data, running.mean, running.var, optional(call, "weight", weight),
                  optional(call, "bias", bias), training != 0, factor, eps, required(call, "y", y));
  });
}

halnorm_status halnorm_batch_norm_train(const DLTensor* x, const DLTensor* weight,
                                        const DLTensor* bias, const DLTensor* running_mean,
                                        const DLTensor* running_var, double momentum, double eps,
                                        const DLTensor* y, const DLTensor* mean,
                                        const DLTensor* invstd) {
  return train(__func__, {x, nullptr, weight, bias, running_mean, running_var, y, mean, invstd},
               [&](const TrainTensors& t) {
                 return t.running.mean.defined()
                            ? F::batch_norm_train_update(t.x, t.running.mean, t.running.var,
                                                         t.weight, t.bias, momentum, eps, t.y)
                            : F::batch_norm_train(t.x, t.weight, t.bias, eps, t.y);
               });
}

halnorm_status halnorm_batch_norm_backward(const DLTensor* dy, const DLTensor* x,
                                           const DLTensor* weight, const DLTensor* mean,
                                           const DLTensor* invstd, const DLTensor* dx,
                                           const DLTensor* dweight, const DLTensor* dbias) {
  return backward(__func__, {dy, x, weight, dx, dweight, dbias},
                  [&](Call& call, const BackwardTensors& t) {
                    return F::batch_norm_backward(t.dy, t.x, t.weight, required(call, "mean", mean),
                                                  required(call, "invstd", invstd), t.dx);
                  });
}
