#pragma once

#include <optional>

#include "plan/plan.h"
#include "plan/view.h"

/// @file
/// The operations on views of any size and shape. Each makes its plan and runs the plan.
///
/// Arguments are checked; all views have one shape and layout and are not empty; mean, invstd, m2
/// and the sums are dense Float64; weight, bias and running statistics have the kernel's parameter
/// dtype. y may be x, and dx may be dy. `function` names the caller in a KernelError.

namespace halnorm::HALNORM_ABI::detail {

/// Running statistics, one dense value per channel in the dtype of the kernel's parameters, and the
/// factor of the batch's.
struct RunningStatistics {
  Channels mean, var;
  double factor;
};

/// One step of the running statistics, which are read and written.
struct UpdateOperands {
  Channels running_mean, running_var, mean, m2;
  double count, factor;
};

struct MomentsOperands {
  View x;
  Channels mean, m2;  ///< written

  [[nodiscard]] MomentsOperands part(const Box& box) const noexcept;
};

/// A fused forward computes relu(v + addend) of the normalized v; relu has a slope below 0.
struct Epilogue {
  View addend;
  double slope;
};

/// The kernels of a forward, plain or with an epilogue. The caller names them, so that a program
/// that calls no fused operation links none of the fused kernels.
struct InferRows {
  const Rows& infer;
  const Rows& elemt;
};
struct TrainRows {
  const Rows& train;
  const Rows& with_running_stats;
  const Rows& elemt;
};
inline constexpr InferRows plain_infer{rows::batch_norm_infer, rows::batch_norm_elemt};
inline constexpr InferRows fused_infer{rows::batch_norm_fused_infer, rows::batch_norm_fused_elemt};
inline constexpr TrainRows plain_train{
    rows::batch_norm_train, rows::batch_norm_train_with_running_stats, rows::batch_norm_elemt};
inline constexpr TrainRows fused_train{rows::batch_norm_fused_train,
                                       rows::batch_norm_fused_train_with_running_stats,
                                       rows::batch_norm_fused_elemt};

/// The operands of y with given statistics.
struct ElemtOperands {
  View x;
  Channels weight, bias, mean, invstd;
  View y;                             ///< written
  std::optional<Epilogue> relu = {};  ///< for the fused kernels

  [[nodiscard]] ElemtOperands part(const Box& box) const noexcept;
};

struct InferOperands {
  const InferRows& rows;
  View x;
  Channels running_mean, running_var, weight, bias;
  double eps;
  View y;                             ///< written
  std::optional<Epilogue> relu = {};  ///< for the fused kernels

  [[nodiscard]] InferOperands part(const Box& box) const noexcept;
};

struct TrainOperands {
  const TrainRows& rows;
  View x;
  Channels weight, bias;
  double eps;
  View y;  ///< written, and so are the next
  Channels mean, invstd, m2;
  const RunningStatistics* running = nullptr;  ///< updated in the same launch (devices only)
  std::optional<Epilogue> relu = {};           ///< for the fused kernels

  [[nodiscard]] TrainOperands part(const Box& box) const noexcept;
};

/// The sums of dy and of dy * (x - mean).
struct ReduceOperands {
  View dy, x;
  Channels mean;
  Channels sum_dy, sum_dy_xmu;  ///< written

  [[nodiscard]] ReduceOperands part(const Box& box) const noexcept;
};

/// The operands of dx with given sums over `count` values.
struct BackwardElemtOperands {
  View dy, x;
  Channels weight, mean, invstd, sum_dy, sum_dy_xmu;
  double count;
  View dx;  ///< written

  [[nodiscard]] BackwardElemtOperands part(const Box& box) const noexcept;
};

struct BackwardOperands {
  View dy, x;
  Channels weight, mean, invstd;
  View dx;  ///< written, and so are the next
  Channels dweight, dbias;
  bool adds = false;  ///< dweight and dbias are those of a ChannelPair, and are added to

  [[nodiscard]] BackwardOperands part(const Box& box) const noexcept;
};

struct BackwardInferOperands {
  View dy, x;
  Channels weight, running_mean, running_var;
  double eps;
  View dx;  ///< written, and so are the next
  Channels dweight, dbias;

  [[nodiscard]] BackwardInferOperands part(const Box& box) const noexcept;
};

/// The gradient through the relu of an epilogue.
struct ReluBackwardOperands {
  View dy, y;
  double slope;
  View dx;  ///< written; may be dy

  [[nodiscard]] ReluBackwardOperands part(const Box& box) const noexcept;
};

void execute(const char* function, const UpdateOperands& o);
void execute(const char* function, const MomentsOperands& o);
void execute(const char* function, const ElemtOperands& o);
void execute(const char* function, const InferOperands& o);
void execute(const char* function, const TrainOperands& o);
void execute(const char* function, const ReduceOperands& o);
void execute(const char* function, const BackwardElemtOperands& o);
void execute(const char* function, const BackwardOperands& o);
void execute(const char* function, const BackwardInferOperands& o);
void execute(const char* function, const ReluBackwardOperands& o);

}  // namespace halnorm::HALNORM_ABI::detail
