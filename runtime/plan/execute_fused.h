#pragma once

#include "plan/execute.h"

/// @file
/// The fused operations, y = relu(batch norm of x + addend), on views that one kernel can take.
/// Arguments are as in execute.h.

namespace halnorm::detail {

struct FusedTrainOperands {
  View x, addend;
  Channels weight, bias;
  double eps;
  View y;  ///< written, and so are the next
  Channels mean, invstd, m2;
  const RunningStatistics* running = nullptr;  ///< updated in the same launch (devices only)
};

struct FusedInferOperands {
  View x, addend;
  Channels running_mean, running_var, weight, bias;
  double eps;
  View y;  ///< written
};

struct FusedBackwardOperands {
  View dy, x, y;
  Channels weight, mean, invstd;
  View dx, daddend;  ///< written, and so are the next
  Channels dweight, dbias;
  bool adds = false;  ///< dweight and dbias are those of a ChannelPair, and are added to
};

struct FusedBackwardInferOperands {
  View dy, x, y;
  Channels weight, running_mean, running_var;
  double eps;
  View dx, daddend;  ///< written, and so are the next
  Channels dweight, dbias;
};

void execute(const char* function, const FusedTrainOperands& o);
void execute(const char* function, const FusedInferOperands& o);
void execute(const char* function, const FusedBackwardOperands& o);
void execute(const char* function, const FusedBackwardInferOperands& o);

}  // namespace halnorm::detail
