#include "c_api/outputs.h"
#include "halnorm/functional_fused.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::channels_of;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::check_apart;
using halnorm::c_api::data_output;
using halnorm::c_api::gradient_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::optional;
using halnorm::c_api::optional_running;
using halnorm::c_api::required;
using halnorm::c_api::RunningStats;
using halnorm::c_api::statistic_output;
using halnorm::c_api::store;

namespace {

/// What both backwards take, and write.
struct Gradients {
  Tensor dy, x, y, weight, dx, daddend, dweight, dbias;
};

struct GivenGradients {
  const DLTensor *dy, *x, *y, *weight, *dx, *daddend, *dweight, *dbias;
};

Gradients gradients(Call& call, const GivenGradients& given) {
  Gradients g;
  g.dy = required(call, "dy", given.dy);
  g.x = required(call, "x", given.x);
  g.y = required(call, "y", given.y);
  g.weight = optional(call, "weight", given.weight);
  g.dx = optional(call, "dx", given.dx);
  g.daddend = data_output(call, "daddend", given.daddend, g.x);
  g.dweight = gradient_output(call, "dweight", given.dweight, g.x, g.weight);
  g.dbias = gradient_output(call, "dbias", given.dbias, g.x, g.weight);
  check_any_apart(
      call, {{"dx", g.dx}, {"daddend", g.daddend}, {"dweight", g.dweight}, {"dbias", g.dbias}});
  return g;
}

void store_all(const F::BatchNormFusedBackward& r, const Gradients& to) {
  store(r.daddend, to.daddend);
  store(r.dweight, to.dweight);
  store(r.dbias, to.dbias);
}

halnorm_status infer(const char* function, const DLTensor* x, const DLTensor* addend,
                     const DLTensor* running_mean, const DLTensor* running_var,
                     const DLTensor* weight, const DLTensor* bias, double eps, double slope,
                     const DLTensor* y) {
  Call call{.function = function};
  return guarded_with_tensors(call, [&] {
    F::batch_norm_fused_infer(required(call, "x", x), optional(call, "addend", addend),
                              required(call, "running_mean", running_mean),
                              required(call, "running_var", running_var),
                              optional(call, "weight", weight), optional(call, "bias", bias), eps,
                              required(call, "y", y), slope);
  });
}

halnorm_status train(const char* function, const DLTensor* x, const DLTensor* addend,
                     const DLTensor* weight, const DLTensor* bias, const DLTensor* running_mean,
                     const DLTensor* running_var, double momentum, double eps, double slope,
                     const DLTensor* y, const DLTensor* mean, const DLTensor* invstd) {
  Call call{.function = function};
  return guarded_with_tensors(call, [&] {
    const Tensor data = required(call, "x", x);
    const Tensor residual = optional(call, "addend", addend);
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
    const F::BatchNormForward r =
        running.mean.defined()
            ? F::batch_norm_fused_train_update(data, residual, running.mean, running.var, scale,
                                               shift, momentum, eps, out, slope)
            : F::batch_norm_fused_train(data, residual, scale, shift, eps, out, slope);
    store(r.mean, batch_mean);
    store(r.invstd, batch_invstd);
  });
}

halnorm_status backward(const char* function, const GivenGradients& given, const DLTensor* mean,
                        const DLTensor* invstd, double slope) {
  Call call{.function = function, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    const Gradients g = gradients(call, given);
    store_all(F::batch_norm_fused_backward(g.dy, g.x, g.y, g.weight, required(call, "mean", mean),
                                           required(call, "invstd", invstd), g.dx, slope),
              g);
  });
}

halnorm_status backward_infer(const char* function, const GivenGradients& given,
                              const DLTensor* running_mean, const DLTensor* running_var, double eps,
                              double slope) {
  Call call{.function = function, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    const Gradients g = gradients(call, given);
    store_all(F::batch_norm_fused_backward_infer(
                  g.dy, g.x, g.y, g.weight, required(call, "running_mean", running_mean),
                  required(call, "running_var", running_var), eps, g.dx, slope),
              g);
  });
}

}  // namespace

halnorm_status halnorm_batch_norm_fused_infer(const DLTensor* x, const DLTensor* addend,
                                              const DLTensor* running_mean,
                                              const DLTensor* running_var, const DLTensor* weight,
                                              const DLTensor* bias, double eps, const DLTensor* y) {
  return infer(__func__, x, addend, running_mean, running_var, weight, bias, eps, 0, y);
}

halnorm_status halnorm_batch_norm_fused_infer_leaky(const DLTensor* x, const DLTensor* addend,
                                                    const DLTensor* running_mean,
                                                    const DLTensor* running_var,
                                                    const DLTensor* weight, const DLTensor* bias,
                                                    double eps, double slope, const DLTensor* y) {
  return infer(__func__, x, addend, running_mean, running_var, weight, bias, eps, slope, y);
}

halnorm_status halnorm_batch_norm_fused_train(const DLTensor* x, const DLTensor* addend,
                                              const DLTensor* weight, const DLTensor* bias,
                                              const DLTensor* running_mean,
                                              const DLTensor* running_var, double momentum,
                                              double eps, const DLTensor* y, const DLTensor* mean,
                                              const DLTensor* invstd) {
  return train(__func__, x, addend, weight, bias, running_mean, running_var, momentum, eps, 0, y,
               mean, invstd);
}

halnorm_status halnorm_batch_norm_fused_train_leaky(const DLTensor* x, const DLTensor* addend,
                                                    const DLTensor* weight, const DLTensor* bias,
                                                    const DLTensor* running_mean,
                                                    const DLTensor* running_var, double momentum,
                                                    double eps, double slope, const DLTensor* y,
                                                    const DLTensor* mean, const DLTensor* invstd) {
  return train(__func__, x, addend, weight, bias, running_mean, running_var, momentum, eps, slope,
               y, mean, invstd);
}

halnorm_status halnorm_batch_norm_fused_backward(const DLTensor* dy, const DLTensor* x,
                                                 const DLTensor* y, const DLTensor* weight,
                                                 const DLTensor* mean, const DLTensor* invstd,
                                                 const DLTensor* dx, const DLTensor* daddend,
                                                 const DLTensor* dweight, const DLTensor* dbias) {
  return backward(__func__, {dy, x, y, weight, dx, daddend, dweight, dbias}, mean, invstd, 0);
}

halnorm_status halnorm_batch_norm_fused_backward_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* mean, const DLTensor* invstd, double slope, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward(__func__, {dy, x, y, weight, dx, daddend, dweight, dbias}, mean, invstd, slope);
}

halnorm_status halnorm_batch_norm_fused_backward_infer(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward_infer(__func__, {dy, x, y, weight, dx, daddend, dweight, dbias}, running_mean,
                        running_var, eps, 0);
}

halnorm_status halnorm_batch_norm_fused_backward_infer_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, double slope,
    const DLTensor* dx, const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias) {
  return backward_infer(__func__, {dy, x, y, weight, dx, daddend, dweight, dbias}, running_mean,
                        running_var, eps, slope);
}
