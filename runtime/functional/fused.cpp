#include "halnorm/functional_fused.h"

#include <utility>

#include "base/strides.h"
#include "functional/addend.h"
#include "functional/check.h"
#include "functional/output.h"
#include "functional/parameter_types.h"
#include "functional/range_fallback.h"
#include "functional/running_update.h"
#include "plan/execute_fused.h"
#include "tensor/impl.h"

namespace halnorm::functional {

using detail::Addend;
using detail::Extents;
using detail::Layout;
using detail::RunningUpdate;

namespace {

/// What all forwards take.
struct Arguments {
  const char* function;
  const Tensor& x;
  const Tensor& addend;
  const Tensor& weight;
  const Tensor& bias;
  double eps;
  const Tensor& out;
  const RunningUpdate* update = nullptr;  ///< of a training forward
};

BatchNormForward nothing(const Arguments& a, const Extents& e) {
  return {a.out.defined() ? a.out : detail::empty_in_layout(a.x, Layout::ncl),
          Tensor::zeros({e.C}, DType::Float64, a.x.device()),
          Tensor::zeros({e.C}, DType::Float64, a.x.device())};
}

bool same_view(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.raw_data() == b.raw_data() && a.shape() == b.shape() &&
         a.strides() == b.strides();
}

Extents check_data(const Arguments& a) {
  const Extents e = detail::check_data(a.function, "x", a.x);
  detail::check_one_kernel(a.function, "x", a.x);
  if (a.addend.defined()) {
    detail::check_like(a.function, "addend", a.addend, a.x);
    detail::check_one_kernel(a.function, "addend", a.addend);
  }
  return e;
}

/// out may be x or the addend.
void check_out(const Arguments& a, const Tensor& running_mean, const Tensor& running_var) {
  const Tensor& same = same_view(a.out, a.addend) ? a.addend : a.x;
  detail::check_out(a.function, a.out, same,
                    {&a.x, &a.addend, &a.weight, &a.bias, &running_mean, &running_var});
  if (a.out.defined()) {
    detail::check_one_kernel(a.function, "out", a.out);
  }
}

/// Whether y overwrites an input that the range fallback would still read.
bool overwrites_input(const Arguments& a) {
  return detail::computes_in_float32(a.x) && (same_view(a.out, a.x) || same_view(a.out, a.addend));
}

struct Trained {
  BatchNormForward forward;
  Tensor m2;
  bool updated = false;  ///< the running statistics, on the way
};

/// Arguments are checked and the batch is not empty.
Trained run_pass_of_train(const Arguments& a) {
  const detail::LoadedParameter weight(a.weight, a.x.dtype());
  const detail::LoadedParameter bias(a.bias, a.x.dtype());
  const Extents e = detail::extents_of(a.x);
  const Layout layout = detail::layout_of(a.x);
  const Tensor x = detail::in_layout(a.x, layout);
  const Addend addend(a.addend, a.x, layout);
  detail::Output y(a.out, a.x, layout, false);
  // One by one: GCC 12 destroys the members of a nested aggregate twice if a later one throws.
  Trained r;
  r.forward.mean = Tensor::empty({e.C}, DType::Float64, a.x.device());
  r.forward.invstd = Tensor::empty({e.C}, DType::Float64, a.x.device());
  r.m2 = Tensor::empty({e.C}, DType::Float64, a.x.device());
  const auto running =
      detail::statistics_for(a.update, x, {&x, &a.addend, &weight.get(), &bias.get()});
  r.updated = running.has_value();
  detail::execute(a.function, detail::FusedTrainOperands{
                                  .x = detail::view_of(x, layout),
                                  .addend = addend.view(),
                                  .weight = detail::weight_channels(weight.get(), e.C, x),
                                  .bias = detail::bias_channels(bias.get(), e.C, x),
                                  .eps = a.eps,
                                  .y = detail::view_of(y.target(), layout),
                                  .mean = detail::channels_of(r.forward.mean),
                                  .invstd = detail::channels_of(r.forward.invstd),
                                  .m2 = detail::channels_of(r.m2),
                                  .running = r.updated ? &*running : nullptr});
  r.forward.y = y.finish();
  return r;
}

/// The kernel, and again in float64 for the channels that leave float32's range.
Trained run_train(const Arguments& a) {
  const Extents e = detail::extents_of(a.x);
  const detail::LoadedParameter weight(a.weight, a.x.dtype());
  const auto extremes = [&](const Tensor& mean, const Tensor& m2) {
    return detail::extreme_moments(a.x, mean, m2, static_cast<double>(e.count()), a.eps,
                                   detail::weight_channels(weight.get(), e.C, a.x));
  };
  const bool in_place = overwrites_input(a);
  const Moments m = in_place ? batch_norm_moments(a.x) : Moments();
  const bool copies = in_place && !extremes(m.mean, m.m2).empty();
  const Tensor x = copies ? a.x.clone() : a.x;
  const Tensor addend = copies && a.addend.defined() ? a.addend.clone() : a.addend;
  Trained r =
      run_pass_of_train({a.function, x, addend, weight.get(), a.bias, a.eps, a.out, a.update});
  if (in_place && !copies) {
    return r;  // the two kernels' moments may differ by a rounding, at a bound
  }
  for (const std::int64_t c : extremes(r.forward.mean, r.m2)) {
    const Trained wide = run_pass_of_train(
        {a.function, detail::wide_channel(x, c), detail::wide_channel(addend, c),
         detail::wide_channel(weight.get(), c), detail::wide_channel(a.bias, c), a.eps, Tensor()});
    detail::store_channel(r.forward.y, c, wide.forward.y);
    detail::store_channel(r.forward.mean, c, wide.forward.mean);
    detail::store_channel(r.forward.invstd, c, wide.forward.invstd);
    detail::store_channel(r.m2, c, wide.m2);
  }
  return r;
}

/// The same in Float64, for parameters or running statistics that are.
Trained run_wide_train(const Arguments& a) {
  const Tensor x = detail::widened(a.x);
  const Tensor addend = a.addend.defined() ? detail::widened(a.addend) : Tensor();
  Trained r = run_train({a.function, x, addend, a.weight, a.bias, a.eps, Tensor(), a.update});
  r.forward.y = detail::narrowed(r.forward.y, a.x, a.out);
  return r;
}

/// Arguments are checked, the parameters have the kernel's dtype, and the batch is not empty.
Tensor run_infer(const Arguments& a, const Tensor& running_mean, const Tensor& running_var) {
  const std::int64_t channels = a.x.shape()[1];
  const Layout layout = detail::elementwise_layout_of(a.x);
  const Tensor x = detail::in_layout(a.x, layout);
  const Addend addend(a.addend, a.x, layout);
  detail::Output y(a.out, a.x, layout, false);
  detail::execute(a.function, detail::FusedInferOperands{
                                  .x = detail::view_of(x, layout),
                                  .addend = addend.view(),
                                  .running_mean = detail::channels_of(running_mean),
                                  .running_var = detail::channels_of(running_var),
                                  .weight = detail::weight_channels(a.weight, channels, x),
                                  .bias = detail::bias_channels(a.bias, channels, x),
                                  .eps = a.eps,
                                  .y = detail::view_of(y.target(), layout)});
  return y.finish();
}

/// The same, and again in float64 for the channels that leave float32's range.
Tensor run_infer_in_range(const Arguments& given, const Tensor& given_mean,
                          const Tensor& given_var) {
  const detail::LoadedParameter mean(given_mean, given.x.dtype());
  const detail::LoadedParameter var(given_var, given.x.dtype());
  const detail::LoadedParameter weight(given.weight, given.x.dtype());
  const detail::LoadedParameter bias(given.bias, given.x.dtype());
  const Arguments a{given.function, given.x,   given.addend, weight.get(),
                    bias.get(),     given.eps, given.out};
  const detail::InvstdOrVar invstd(detail::channels_of(var.get()), a.eps);
  const auto extremes =
      detail::extreme_forward(a.x, detail::channels_of(mean.get()), invstd,
                              detail::weight_channels(a.weight, invstd.size(), a.x));
  const bool copies = !extremes.empty() && overwrites_input(a);
  const Tensor x = copies ? a.x.clone() : a.x;
  const Tensor addend = copies && a.addend.defined() ? a.addend.clone() : a.addend;
  Tensor y =
      run_infer({a.function, x, addend, a.weight, a.bias, a.eps, a.out}, mean.get(), var.get());
  for (const std::int64_t c : extremes) {
    const Tensor wide = run_infer(
        {a.function, detail::wide_channel(x, c), detail::wide_channel(addend, c),
         detail::wide_channel(a.weight, c), detail::wide_channel(a.bias, c), a.eps, Tensor()},
        detail::wide_channel(mean.get(), c), detail::wide_channel(var.get(), c));
    detail::store_channel(y, c, wide);
  }
  return y;
}

}  // namespace

BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out) {
  const Arguments a{"batch_norm_fused_train", x, addend, weight, bias, eps, out};
  detail::check_linked(a.function, detail::Operation::batch_norm_fused_train);
  const Extents e = check_data(a);
  detail::check_affine(a.function, a.x, e, a.weight, a.bias);
  detail::check_eps(a.function, a.eps);
  detail::check_batch(a.function, x, e);
  check_out(a, Tensor(), Tensor());
  if (e.numel() == 0) {
    return nothing(a, e);
  }
  const bool wide = detail::wants_wide_data(x, {&weight, &bias});
  return (wide ? run_wide_train : run_train)(a).forward;
}

BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out) {
  const RunningUpdate update(running_mean, running_var, factor);
  const Arguments a{"batch_norm_fused_train_update", x, addend, weight, bias, eps, out, &update};
  detail::check_linked(a.function, detail::Operation::batch_norm_fused_train);
  const Extents e = check_data(a);
  detail::check_running(a.function, a.x, e, running_mean, running_var);
  detail::check_affine(a.function, a.x, e, a.weight, a.bias);
  detail::check_eps(a.function, a.eps);
  detail::check_factor(a.function, "factor", factor);
  detail::check_written(a.function, running_mean, running_var);
  detail::check_batch(a.function, x, e);
  check_out(a, running_mean, running_var);
  if (e.numel() == 0) {
    return nothing(a, e);
  }
  const bool wide = detail::wants_wide_data(x, {&weight, &bias, &running_mean, &running_var});
  Trained r = (wide ? run_wide_train : run_train)(a);
  if (r.updated) {
    update.count_writes();
  } else {
    update.run(a.function, r.forward.mean, r.m2, static_cast<double>(e.count()));
  }
  return std::move(r.forward);
}

Tensor batch_norm_fused_infer(const Tensor& given, const Tensor& given_addend,
                              const Tensor& given_mean, const Tensor& given_var,
                              const Tensor& given_weight, const Tensor& given_bias, double eps,
                              Tensor out) {
  const Arguments a{
      "batch_norm_fused_infer", given, given_addend, given_weight, given_bias, eps, out};
  detail::check_linked(a.function, detail::Operation::batch_norm_fused_infer);
  const Extents e = check_data(a);
  detail::check_running(a.function, a.x, e, given_mean, given_var);
  detail::check_affine(a.function, a.x, e, a.weight, a.bias);
  detail::check_eps(a.function, a.eps);
  check_out(a, given_mean, given_var);
  if (e.numel() == 0) {
    return nothing(a, e).y;
  }
  if (detail::wants_wide_data(given, {&given_mean, &given_var, &given_weight, &given_bias})) {
    const Tensor addend = given_addend.defined() ? detail::widened(given_addend) : Tensor();
    const Tensor x = detail::widened(given);
    const Tensor y = run_infer_in_range(
        {a.function, x, addend, given_weight, given_bias, eps, Tensor()}, given_mean, given_var);
    return detail::narrowed(y, given, std::move(out));
  }
  return run_infer_in_range(a, given_mean, given_var);
}

}  // namespace halnorm::functional
