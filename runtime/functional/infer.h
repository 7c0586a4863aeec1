#pragma once

#include "functional/add_relu.h"
#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// An inference forward whose arguments are checked, of a batch that is not empty.
struct InferCall {
  const char* function;
  const Tensor &x, &running_mean, &running_var, &weight, &bias;
  double eps;
  const Tensor& out;
  const AddRelu* relu = nullptr;  ///< null for a plain operation
};

/// Computes in the data's dtype, or in Float64 if a parameter or a running statistic is Float64.
/// Channels that leave float32's range are computed again in float64.
Tensor infer(const InferCall& call);

}  // namespace halnorm::HALNORM_ABI::detail
