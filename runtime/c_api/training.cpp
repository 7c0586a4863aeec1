#include <optional>

#include "c_api/outputs.h"
#include "halnorm/functional.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::channels_of;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::check_apart;
using halnorm::c_api::gradient_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::optional_running;
using halnorm::c_api::required;
using halnorm::c_api::RunningStats;
using halnorm::c_api::statistic_output;
using halnorm::c_api::store;

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
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor scale = optional(call, "weight", weight);
    const Tensor shift = optional(call, "bias", bias);
    const RunningStats running = optional_running(call, running_mean, running_var);
    const Tensor out = required(call, "y", y);
    const Tensor batch_mean = statistic_output(call, "mean", mean, channels_of(data));
    const Tensor batch_invstd = statistic_output(call, "invstd", invstd, channels_of(data));
    check_apart(call, {{"y", out},
                       {"running_mean", running.mean},
                       {"running_var", running.var},
                       {"mean", batch_mean},
                       {"invstd", batch_invstd}});
    const F::BatchNormForward r = running.mean.defined()
                                      ? F::batch_norm_train_update(data, running.mean, running.var,
                                                                   scale, shift, momentum, eps, out)
                                      : F::batch_norm_train(data, scale, shift, eps, out);
    store(r.mean, batch_mean);
    store(r.invstd, batch_invstd);
  });
}

halnorm_status halnorm_batch_norm_backward(const DLTensor* dy, const DLTensor* x,
                                           const DLTensor* weight, const DLTensor* mean,
                                           const DLTensor* invstd, const DLTensor* dx,
                                           const DLTensor* dweight, const DLTensor* dbias) {
  Call call{.function = __func__, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor scale = optional(call, "weight", weight);
    const Tensor out = optional(call, "dx", dx);
    const Tensor to_dweight = gradient_output(call, "dweight", dweight, data, scale);
    const Tensor to_dbias = gradient_output(call, "dbias", dbias, data, scale);
    check_any_apart(call, {{"dx", out}, {"dweight", to_dweight}, {"dbias", to_dbias}});
    const F::BatchNormBackward r =
        F::batch_norm_backward(required(call, "dy", dy), data, scale, required(call, "mean", mean),
                               required(call, "invstd", invstd), out);
    store(r.dweight, to_dweight);
    store(r.dbias, to_dbias);
  });
}
