#include <utility>

#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/functional_fused.h"

/// @file
/// The forwards of functional_fused.h: those of functional.h with an AddRelu.

namespace halnorm::HALNORM_ABI::functional {

using detail::AddRelu;
using detail::fused_infer;
using detail::fused_train;

BatchNormForward batch_norm_fused_train(const Tensor& x, const Tensor& addend, const Tensor& weight,
                                        const Tensor& bias, double eps, Tensor out, double slope) {
  detail::TrainStatistics buffers;
  return detail::train({fused_train.function, fused_train, x, weight, bias, eps, out, buffers,
                        nullptr, AddRelu{addend, slope}});
}

BatchNormForward batch_norm_fused_train_update(const Tensor& x, const Tensor& addend,
                                               const Tensor& running_mean,
                                               const Tensor& running_var, const Tensor& weight,
                                               const Tensor& bias, double factor, double eps,
                                               Tensor out, double slope) {
  const detail::RunningUpdate update(running_mean, running_var, factor);
  detail::TrainStatistics buffers;
  return detail::train({fused_train.function_with_update, fused_train, x, weight, bias, eps, out,
                        buffers, &update, AddRelu{addend, slope}});
}

Tensor batch_norm_fused_infer(const Tensor& x, const Tensor& addend, const Tensor& running_mean,
                              const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                              double eps, Tensor out, double slope) {
  return detail::infer({fused_infer.function, fused_infer, x, running_mean, running_var, weight,
                        bias, eps, out, AddRelu{addend, slope}});
}

}  // namespace halnorm::HALNORM_ABI::functional
