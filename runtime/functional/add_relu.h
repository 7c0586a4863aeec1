#pragma once

#include "functional/arguments/data_view.h"
#include "plan/execute.h"

/// @file
/// The epilogue of a fused forward: addend and relu.

namespace halnorm::HALNORM_ABI::detail {

/// y = relu(v + addend) of the normalized v, where relu(v) = v < 0 ? slope * v : v. The functions
/// are those of fused.cpp: a program that calls none of them links no kernels of fused operations.
struct AddRelu {
  const Tensor& addend;  ///< undefined for none
  double slope;
  void (*train)(const char* function, const TrainOperands& o);
  void (*infer)(const char* function, const InferOperands& o);

  /// A copy with another addend.
  [[nodiscard]] AddRelu with(const Tensor& other) const { return {other, slope, train, infer}; }
};

/// The addend as a kernel reads it. Without an addend it is one row of zeros with outer strides of
/// 0; only the innermost stride has to be 1.
class Addend {
 public:
  /// No addend, for a plain operation.
  Addend() = default;
  Addend(const AddRelu* relu, const Tensor& x, Layout layout);

  /// The tensor to view; x if there is no addend.
  [[nodiscard]] const Tensor& tensor() const noexcept { return values_; }
  [[nodiscard]] std::optional<Epilogue> epilogue(const ViewOf& view, const View& x) const;

 private:
  const AddRelu* relu_ = nullptr;
  Tensor values_;
  Tensor zeros_;  ///< if the constant row is too short, and on devices
};

}  // namespace halnorm::HALNORM_ABI::detail
