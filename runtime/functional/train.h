#pragma once

#include <optional>

#include "functional/add_relu.h"
#include "functional/running_update.h"
#include "functional/train_statistics.h"
#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::detail {

/// A training forward, plain or fused, with or without an update of running statistics.
struct TrainCall {
  const char* function;
  const TrainRows& rows;
  const Tensor &x, &weight, &bias;
  double eps;
  const Tensor& out;
  /// For the statistics: a defined tensor of C values is used again, so that no other tensor may
  /// share its memory. m2 is left here; mean and invstd are in the result.
  TrainStatistics& buffers;
  const RunningUpdate* update = nullptr;  ///< null for none
  std::optional<AddRelu> relu = {};       ///< for the fused rows
};

/// The checks of all arguments. A batch that is the part of one rank may have one value per
/// channel.
Extents check_train(const TrainCall& call, bool is_part = false);

/// Checks the arguments. Computes in the data's dtype, or in Float64 if a parameter or a running
/// statistic is Float64. Channels that leave float32's range are computed again in float64. Then
/// updates the running statistics.
functional::BatchNormForward train(const TrainCall& call);

}  // namespace halnorm::HALNORM_ABI::detail
