#pragma once

#include "functional/arguments/data_view.h"
#include "plan/execute.h"

/// @file
/// What a fused forward does besides normalizing.

namespace halnorm::detail {

/// y = relu(v + addend) of the normalized v, where relu(v) = v < 0 ? slope * v : v. The functions
/// are those of fused.cpp: a program that calls none of them links no kernels of fused operations.
struct AddRelu {
  const Tensor& addend;  ///< undefined for none
  double slope;
  void (*train)(const char* function, const TrainOperands& o);
  void (*infer)(const char* function, const InferOperands& o);

  /// The same with another tensor for the addend.
  [[nodiscard]] AddRelu with(const Tensor& other) const { return {other, slope, train, infer}; }
};

/// The addend as a kernel reads it. Without one, a row of zeros that is read again and again: a
/// kernel's innermost stride is 1, the others may be 0.
class Addend {
 public:
  /// Of none: of a plain operation.
  Addend() = default;
  Addend(const AddRelu* relu, const Tensor& x, Layout layout);

  /// The tensor that view_of is asked for; x if it has none of its own.
  [[nodiscard]] const Tensor& tensor() const noexcept { return values_; }
  [[nodiscard]] std::optional<Epilogue> epilogue(const ViewOf& view, const View& x) const;

 private:
  const AddRelu* relu_ = nullptr;
  Tensor values_;
  Tensor zeros_;  ///< where the constant row is too short, and on devices
};

}  // namespace halnorm::detail
