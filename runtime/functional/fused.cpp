#include <initializer_list>
#include <utility>

#include "functional/arguments/check.h"
#include "functional/arguments/output.h"
#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/functional_fused.h"
#include "plan/execute.h"

/// @file
/// The forwards of functional_fused.h: those of functional.h with an AddRelu.

namespace halnorm::HALNORM_ABI::functional {

using detail::AddRelu;
using detail::Extents;

namespace {

void train_fused(const char* function, const detail::TrainOperands& o) {
  detail::execute_fused(function, o);
}

void infer_fused(const char* function, const detail::InferOperands& o) {
  detail::execute_fused(function, o);
}

AddRelu add_relu(const Tensor& addend, double slope) {
  return {addend, slope, &train_fused, &infer_fused};
}

Extents check_data(const char* function, const Tensor& x, const Tensor& addend, double slope) {
  const Extents e = detail::check_data(function, "x", x);
  if (addend.defined()) {
    detail::check_like(function, "addend", addend, x);
  }
  detail::check_slope(function, slope);
  return e;
}

bool same_view(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.raw_data() == b.raw_data() && a.shape() == b.shape() &&
         a.strides() == b.strides();
}

/// Checks `out`, which may be x or the addend.
void check_out(const char* function, const Tensor& out, const Tensor& x, const Tensor& addend,
               std::initializer_list<const Tensor*> inputs) {
  const Tensor& same = same_view(out, addend) ? addend : x;
  detail::check_out(function, out, same, inputs);
}

}  // namespace

BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_train";
  detail::check_linked(function, detail::Operation::batch_norm_fused_train);
  const Extents e = check_data(function, x, addend, slope);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  detail::check_batch(function, x, e);
  check_out(function, out, x, addend, {&x, &addend, &weight, &bias});
  if (e.numel() == 0) {
    return detail::empty_train_result(x, out);
  }
  const AddRelu relu = add_relu(addend, slope);
  detail::TrainStatistics buffers;
  return detail::train({function, x, weight, bias, eps, out, buffers, nullptr, &relu}).forward;
}

BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_train_update";
  detail::check_linked(function, detail::Operation::batch_norm_fused_train);
  const Extents e = check_data(function, x, addend, slope);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  detail::check_factor(function, "factor", factor);
  detail::check_written(function, running_mean, running_var);
  detail::check_batch(function, x, e);
  check_out(function, out, x, addend, {&x, &addend, &weight, &bias, &running_mean, &running_var});
  if (e.numel() == 0) {
    return detail::empty_train_result(x, out);
  }
  const AddRelu relu = add_relu(addend, slope);
  const detail::RunningUpdate update(running_mean, running_var, factor);
  detail::TrainStatistics buffers;
  return detail::train_and_update({function, x, weight, bias, eps, out, buffers, &update, &relu});
}

Tensor batch_norm_fused_infer(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              double eps, Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_infer";
  detail::check_linked(function, detail::Operation::batch_norm_fused_infer);
  const Extents e = check_data(function, x, addend, slope);
  detail::check_running(function, x, e, running_mean, running_var);
  detail::check_affine(function, x, e, weight, bias);
  detail::check_eps(function, eps);
  check_out(function, out, x, addend, {&x, &addend, &weight, &bias, &running_mean, &running_var});
  if (e.numel() == 0) {
    return detail::empty_result(x, out);
  }
  const AddRelu relu = add_relu(addend, slope);
  return detail::infer({function, x, running_mean, running_var, weight, bias, eps, out, &relu});
}

}  // namespace halnorm::HALNORM_ABI::functional
