#include "c_api/outputs.h"
#include "halnorm/functional.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::channels_of;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::count_output;
using halnorm::c_api::gradient_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::required;
using halnorm::c_api::statistic_output;
using halnorm::c_api::store;

halnorm_status halnorm_batch_norm_moments(const DLTensor* x, const DLTensor* count,
                                          const DLTensor* mean, const DLTensor* m2) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor to_count = count_output(call, "count", count);
    const Tensor to_mean = statistic_output(call, "mean", mean, channels_of(data));
    const Tensor to_m2 = statistic_output(call, "m2", m2, channels_of(data));
    check_any_apart(call, {{"count", to_count}, {"mean", to_mean}, {"m2", to_m2}});
    const F::Moments r = F::batch_norm_moments(data);
    store(r.count, to_count);
    store(r.mean, to_mean);
    store(r.m2, to_m2);
  });
}

halnorm_status halnorm_update_running_stats(const DLTensor* running_mean,
                                            const DLTensor* running_var, const DLTensor* count,
                                            const DLTensor* mean, const DLTensor* m2,
                                            double factor) {
  Call call{.function = __func__, .factor = "factor"};
  return guarded_with_tensors(call, [&] {
    const Tensor to_mean = required(call, "running_mean", running_mean);
    const Tensor to_var = required(call, "running_var", running_var);
    F::update_running_stats(
        to_mean, to_var,
        {required(call, "count", count), required(call, "mean", mean), required(call, "m2", m2)},
        factor);
  });
}

halnorm_status halnorm_batch_norm_elemt(const DLTensor* x, const DLTensor* weight,
                                        const DLTensor* bias, const DLTensor* mean,
                                        const DLTensor* invstd, const DLTensor* y) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    F::batch_norm_elemt(required(call, "x", x), optional(call, "weight", weight),
                        optional(call, "bias", bias), required(call, "mean", mean),
                        required(call, "invstd", invstd), required(call, "y", y));
  });
}

halnorm_status halnorm_batch_norm_backward_reduce(const DLTensor* dy, const DLTensor* x,
                                                  const DLTensor* mean, const DLTensor* invstd,
                                                  const DLTensor* weight, const DLTensor* sum_dy,
                                                  const DLTensor* sum_dy_xmu,
                                                  const DLTensor* dweight, const DLTensor* dbias) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor scale = optional(call, "weight", weight);
    const Tensor to_sum = statistic_output(call, "sum_dy", sum_dy, channels_of(data));
    const Tensor to_xmu = statistic_output(call, "sum_dy_xmu", sum_dy_xmu, channels_of(data));
    const Tensor to_dweight = gradient_output(call, "dweight", dweight, data, scale);
    const Tensor to_dbias = gradient_output(call, "dbias", dbias, data, scale);
    check_any_apart(
        call,
        {{"sum_dy", to_sum}, {"sum_dy_xmu", to_xmu}, {"dweight", to_dweight}, {"dbias", to_dbias}});
    const F::BackwardReduce r =
        F::batch_norm_backward_reduce(required(call, "dy", dy), data, required(call, "mean", mean),
                                      required(call, "invstd", invstd), scale);
    store(r.sum_dy, to_sum);
    store(r.sum_dy_xmu, to_xmu);
    store(r.dweight, to_dweight);
    store(r.dbias, to_dbias);
  });
}

halnorm_status halnorm_batch_norm_backward_elemt(const DLTensor* dy, const DLTensor* x,
                                                 const DLTensor* mean, const DLTensor* invstd,
                                                 const DLTensor* weight, const DLTensor* sum_dy,
                                                 const DLTensor* sum_dy_xmu, const DLTensor* count,
                                                 const DLTensor* dx) {
  Call call{.function = __func__, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    F::batch_norm_backward_elemt(required(call, "dy", dy), required(call, "x", x),
                                 required(call, "mean", mean), required(call, "invstd", invstd),
                                 optional(call, "weight", weight), required(call, "sum_dy", sum_dy),
                                 required(call, "sum_dy_xmu", sum_dy_xmu),
                                 required(call, "count", count), required(call, "dx", dx));
  });
}
