#include <utility>

#include "functional/arguments/check.h"
#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/functional_fused.h"

/// @file
/// The forwards of functional_fused.h: those of functional.h with an AddRelu.

namespace halnorm::HALNORM_ABI::functional {

using detail::AddRelu;

BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_train";
  detail::check_linked(function, detail::Operation::batch_norm_fused_train);
  detail::TrainStatistics buffers;
  return detail::train({function, detail::fused_train, x, weight, bias, eps, out, buffers, nullptr,
                        AddRelu{addend, slope}});
}

BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_train_update";
  detail::check_linked(function, detail::Operation::batch_norm_fused_train);
  const detail::RunningUpdate update(running_mean, running_var, factor);
  detail::TrainStatistics buffers;
  return detail::train({function, detail::fused_train, x, weight, bias, eps, out, buffers, &update,
                        AddRelu{addend, slope}});
}

Tensor batch_norm_fused_infer(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              double eps, Tensor out, double slope) {
  constexpr const char* function = "batch_norm_fused_infer";
  detail::check_linked(function, detail::Operation::batch_norm_fused_infer);
  return detail::infer({function, detail::fused_infer, x, running_mean, running_var, weight, bias,
                        eps, out, AddRelu{addend, slope}});
}

}  // namespace halnorm::HALNORM_ABI::functional
