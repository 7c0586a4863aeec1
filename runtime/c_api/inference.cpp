#include "c_api/outputs.h"
#include "halnorm/functional.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::gradient_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::required;
using halnorm::c_api::store;

halnorm_status halnorm_batch_norm_infer(const DLTensor* x, const DLTensor* running_mean,
                                        const DLTensor* running_var, const DLTensor* weight,
                                        const DLTensor* bias, double eps, const DLTensor* y) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    F::batch_norm_infer(required(call, "x", x), required(call, "running_mean", running_mean),
                        required(call, "running_var", running_var),
                        optional(call, "weight", weight), optional(call, "bias", bias), eps,
                        required(call, "y", y));
  });
}

halnorm_status halnorm_batch_norm_backward_infer(const DLTensor* dy, const DLTensor* x,
                                                 const DLTensor* weight,
                                                 const DLTensor* running_mean,
                                                 const DLTensor* running_var, double eps,
                                                 const DLTensor* dx, const DLTensor* dweight,
                                                 const DLTensor* dbias) {
  Call call{.function = __func__, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor scale = optional(call, "weight", weight);
    const Tensor out = optional(call, "dx", dx);
    const Tensor to_dweight = gradient_output(call, "dweight", dweight, data, scale);
    const Tensor to_dbias = gradient_output(call, "dbias", dbias, data, scale);
    check_any_apart(call, {{"dx", out}, {"dweight", to_dweight}, {"dbias", to_dbias}});
    const F::BatchNormBackward r = F::batch_norm_backward_infer(
        required(call, "dy", dy), data, scale, required(call, "running_mean", running_mean),
        required(call, "running_var", running_var), eps, out);
    store(r.dweight, to_dweight);
    store(r.dbias, to_dbias);
  });
}
