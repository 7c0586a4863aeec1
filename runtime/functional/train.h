#pragma once

#include "functional/add_relu.h"
#include "functional/running_update.h"
#include "functional/train_statistics.h"
#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::detail {

/// A training forward whose arguments are checked, of a batch that is not empty.
struct TrainCall {
  const char* function;
  const Tensor &x, &weight, &bias;
  double eps;
  const Tensor& out;
  TrainStatistics& buffers;
  const RunningUpdate* update = nullptr;  ///< null for none
  const AddRelu* relu = nullptr;          ///< null for a plain operation
};

struct Trained {
  functional::BatchNormForward forward;
  Tensor m2;
  bool updated = false;  ///< the training kernel has updated the running statistics
};

/// Computes in the data's dtype, or in Float64 if a parameter or a running statistic is Float64.
/// Channels that leave float32's range are computed again in float64.
Trained train(const TrainCall& call);

/// The same, then the update of the running statistics. Leaves m2 in the call's buffers.
functional::BatchNormForward train_and_update(const TrainCall& call);

/// y and the statistics of an empty batch, which are zeros.
functional::BatchNormForward empty_train_result(const Tensor& x, const Tensor& out);

}  // namespace halnorm::HALNORM_ABI::detail
