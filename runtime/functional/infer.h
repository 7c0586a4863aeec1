#pragma once

#include <optional>

#include "functional/add_relu.h"
#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// An inference forward, plain or fused.
struct InferCall {
  const char* function;
  const InferRows& rows;
  const Tensor &x, &running_mean, &running_var, &weight, &bias;
  double eps;
  const Tensor& out;
  std::optional<AddRelu> relu = {};  ///< for the fused rows
};

/// Checks the arguments. Computes in the data's dtype, or in Float64 if a parameter or a running
/// statistic is Float64. Channels that leave float32's range are computed again in float64.
Tensor infer(const InferCall& call);

}  // namespace halnorm::HALNORM_ABI::detail
