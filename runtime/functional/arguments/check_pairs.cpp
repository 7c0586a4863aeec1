#include "functional/arguments/check.h"

/// @file
/// Checks of two per-channel arguments.

namespace halnorm::HALNORM_ABI::detail {

void check_affine(const char* function, const Tensor& x, const Extents& e, const Tensor& weight,
                  const Tensor& bias) {
  check_parameter(function, "weight", weight, x, e.C, true);
  check_parameter(function, "bias", bias, x, e.C, true);
  check_same_dtype(function, "weight", weight, "bias", bias);
}

void check_running(const char* function, const Tensor& x, const Extents& e,
                   const Tensor& running_mean, const Tensor& running_var) {
  check_parameter(function, "running_mean", running_mean, x, e.C, false);
  check_parameter(function, "running_var", running_var, x, e.C, false);
  check_same_dtype(function, "running_mean", running_mean, "running_var", running_var);
}

}  // namespace halnorm::HALNORM_ABI::detail
