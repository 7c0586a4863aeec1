#include "c_api/outputs.h"
#include "halnorm/functional.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::data_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::required;
using halnorm::c_api::store;

namespace {

void store_fused(Call& call, const F::FusedWeights& fused, const DLTensor* weight,
                 const DLTensor* bias) {
  const Tensor to_weight = data_output(call, "weight", weight, fused.weight);
  const Tensor to_bias = data_output(call, "bias", bias, fused.bias);
  check_any_apart(call, {{"weight", to_weight}, {"bias", to_bias}});
  store(fused.weight, to_weight);
  store(fused.bias, to_bias);
}

}  // namespace

halnorm_status halnorm_fuse_conv_bn_weights(const DLTensor* conv_w, const DLTensor* conv_b,
                                            const DLTensor* bn_rm, const DLTensor* bn_rv,
                                            double bn_eps, const DLTensor* bn_w,
                                            const DLTensor* bn_b, int transpose,
                                            const DLTensor* weight, const DLTensor* bias) {
  Call call{.function = __func__, .output = "weight"};
  return guarded_with_tensors(call, [&] {
    const auto fused = F::fuse_conv_bn_weights(
        required(call, "conv_w", conv_w), optional(call, "conv_b", conv_b),
        required(call, "bn_rm", bn_rm), required(call, "bn_rv", bn_rv), bn_eps,
        optional(call, "bn_w", bn_w), optional(call, "bn_b", bn_b), transpose != 0);
    store_fused(call, fused, weight, bias);
  });
}

halnorm_status halnorm_fuse_linear_bn_weights(const DLTensor* linear_w, const DLTensor* linear_b,
                                              const DLTensor* bn_rm, const DLTensor* bn_rv,
                                              double bn_eps, const DLTensor* bn_w,
                                              const DLTensor* bn_b, const DLTensor* weight,
                                              const DLTensor* bias) {
  Call call{.function = __func__, .output = "weight"};
  return guarded_with_tensors(call, [&] {
    const auto fused = F::fuse_linear_bn_weights(
        required(call, "linear_w", linear_w), optional(call, "linear_b", linear_b),
        required(call, "bn_rm", bn_rm), required(call, "bn_rv", bn_rv), bn_eps,
        optional(call, "bn_w", bn_w), optional(call, "bn_b", bn_b));
    store_fused(call, fused, weight, bias);
  });
}
