#pragma once

#include <optional>

#include "kernels/table.h"
#include "plan/view.h"

/// @file
/// The operands of each operation, on views of any size and shape.
///
/// They are checked; all views have one shape and layout and are not empty; mean, invstd, m2 and
/// the sums are dense Float64; weight, bias and running statistics have the kernel's parameter
/// dtype. y may be x, and dx may be dy. data() are the data tensors as plans see them, x first and
/// the output last; part() are the operands of a part of the data.

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

  [[nodiscard]] Views data() const noexcept;  ///< running_mean
};

struct MomentsOperands {
  View x;
  Channels mean, m2;  ///< written

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] MomentsOperands part(const Box& box) const noexcept;
};

/// A fused forward computes relu(v + addend) of the normalized v; relu has a slope below 0.
struct Epilogue {
  View addend;
  double slope;
};

/// A forward, plain or with an epilogue: its names and its kernels. The caller names it, so that a
/// program that calls no fused operation links none of the fused kernels.
struct InferRows {
  const char* function;
  Operation operation;  ///< a build may leave it out
  const Rows& infer;
  const Rows& elemt;
};
struct TrainRows {
  const char* function;
  const char* function_with_update;  ///< of running statistics
  Operation operation;
  const Rows& train;
  const Rows& with_running_stats;
  const Rows& elemt;
};
inline constexpr InferRows plain_infer{"batch_norm_infer", Operation::batch_norm_infer,
                                       rows::batch_norm_infer, rows::batch_norm_elemt};
inline constexpr InferRows fused_infer{"batch_norm_fused_infer", Operation::batch_norm_fused_infer,
                                       rows::batch_norm_fused_infer, rows::batch_norm_fused_elemt};
inline constexpr TrainRows plain_train{"batch_norm_train",
                                       "batch_norm_train_update",
                                       Operation::batch_norm_train,
                                       rows::batch_norm_train,
                                       rows::batch_norm_train_with_running_stats,
                                       rows::batch_norm_elemt};
inline constexpr TrainRows fused_train{"batch_norm_fused_train",
                                       "batch_norm_fused_train_update",
                                       Operation::batch_norm_fused_train,
                                       rows::batch_norm_fused_train,
                                       rows::batch_norm_fused_train_with_running_stats,
                                       rows::batch_norm_fused_elemt};

/// The operands of y with given statistics.
struct ElemtOperands {
  View x;
  Channels weight, bias, mean, invstd;
  View y;                             ///< written
  std::optional<Epilogue> relu = {};  ///< for the fused kernels

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] ElemtOperands part(const Box& box) const noexcept;
};

struct InferOperands {
  const InferRows& rows;
  View x;
  Channels running_mean, running_var, weight, bias;
  double eps;
  View y;                             ///< written
  std::optional<Epilogue> relu = {};  ///< for the fused kernels

  [[nodiscard]] Views data() const noexcept;
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

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] TrainOperands part(const Box& box) const noexcept;
};

/// The sums of dy and of dy * (x - mean).
struct ReduceOperands {
  View dy, x;
  Channels mean;
  Channels sum_dy, sum_dy_xmu;  ///< written

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] ReduceOperands part(const Box& box) const noexcept;
};

/// The operands of dx with given sums over `count` values.
struct BackwardElemtOperands {
  View dy, x;
  Channels weight, mean, invstd, sum_dy, sum_dy_xmu;
  double count;
  View dx;  ///< written

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] BackwardElemtOperands part(const Box& box) const noexcept;
};

struct BackwardOperands {
  View dy, x;
  Channels weight, mean, invstd;
  View dx;  ///< written, and so are the next
  Channels dweight, dbias;
  bool adds = false;  ///< dweight and dbias are those of a ChannelPair, and are added to

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] BackwardOperands part(const Box& box) const noexcept;
};

struct BackwardInferOperands {
  View dy, x;
  Channels weight, running_mean, running_var;
  double eps;
  View dx;  ///< written, and so are the next
  Channels dweight, dbias;

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] BackwardInferOperands part(const Box& box) const noexcept;
};

/// The gradient through the relu of an epilogue.
struct ReluBackwardOperands {
  View dy, y;
  double slope;
  View dx;  ///< written; may be dy

  [[nodiscard]] Views data() const noexcept;
  [[nodiscard]] ReluBackwardOperands part(const Box& box) const noexcept;
};

}  // namespace halnorm::HALNORM_ABI::detail
