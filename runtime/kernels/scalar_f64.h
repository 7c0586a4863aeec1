#pragma once

#include "kernels/table.h"

/// @file
/// The operations on float64 in plain C++. A build without float64 kernels takes them for the
/// channels that leave float32's range (functional/range/range_fallback.h), so they are few values.
///
/// Each has the arguments of the generated kernels of its name, and may write over the same inputs
/// as these. Every buffer holds float64, on the host. They run on one thread and return 0.

namespace halnorm::HALNORM_ABI::detail::scalar_f64 {

int batch_norm_train(void** arguments);
int batch_norm_infer(void** arguments);
int batch_norm_backward(void** arguments);
int batch_norm_backward_infer(void** arguments);
int batch_norm_moments(void** arguments);
int batch_norm_elemt(void** arguments);
int batch_norm_backward_reduce(void** arguments);
int batch_norm_backward_elemt(void** arguments);
int batch_norm_fused_infer(void** arguments);
int batch_norm_fused_elemt(void** arguments);
int relu_backward(void** arguments);

/// The function of an operation; null for a variant, and for an operation without a fallback.
constexpr int (*function_of(Operation operation))(void**) {
  switch (operation) {
    case Operation::batch_norm_train:
      return &batch_norm_train;
    case Operation::batch_norm_infer:
      return &batch_norm_infer;
    case Operation::batch_norm_backward:
      return &batch_norm_backward;
    case Operation::batch_norm_backward_infer:
      return &batch_norm_backward_infer;
    case Operation::batch_norm_moments:
      return &batch_norm_moments;
    case Operation::batch_norm_elemt:
      return &batch_norm_elemt;
    case Operation::batch_norm_backward_reduce:
      return &batch_norm_backward_reduce;
    case Operation::batch_norm_backward_elemt:
      return &batch_norm_backward_elemt;
    case Operation::batch_norm_fused_infer:
      return &batch_norm_fused_infer;
    case Operation::batch_norm_fused_elemt:
      return &batch_norm_fused_elemt;
    case Operation::relu_backward:
      return &relu_backward;
    default:
      return nullptr;
  }
}

/// A kernel of function_of(), or null if that is.
constexpr const Kernel* if_known(const Kernel& kernel) noexcept {
  return kernel.run == nullptr ? nullptr : &kernel;
}

}  // namespace halnorm::HALNORM_ABI::detail::scalar_f64
