#pragma once

#include <optional>

#include "functional/arguments/data_view.h"
#include "plan/operands.h"

/// @file
/// The epilogue of a fused forward: addend and relu.

namespace halnorm::HALNORM_ABI::detail {

/// y = relu(v + addend) of the normalized v, where relu(v) = v < 0 ? slope * v : v.
struct AddRelu {
  Tensor addend;  ///< undefined for none
  double slope;
};

/// The addend; null if there is none.
inline const Tensor* addend_of(const std::optional<AddRelu>& relu) noexcept {
  return relu && relu->addend.defined() ? &relu->addend : nullptr;
}

/// The relu with change(addend) for its addend.
template <class Change>
std::optional<AddRelu> with_addend(const std::optional<AddRelu>& relu, Change change) {
  const Tensor* addend = addend_of(relu);
  return addend == nullptr ? relu : std::optional(AddRelu{change(*addend), relu->slope});
}

/// Checks the addend, if there is one, and the slope.
void check_relu(const char* function, const Tensor& x, const std::optional<AddRelu>& relu);

/// The epilogue as kernels read it. Without an addend it reads one row of zeros with outer strides
/// of 0; only the innermost stride has to be 1.
class EpilogueView {
 public:
  /// The addend, if there is one, is the second input of `data`.
  EpilogueView(const std::optional<AddRelu>& relu, const DataOperands& data, const Tensor& x);
  [[nodiscard]] const std::optional<Epilogue>& get() const noexcept { return epilogue_; }

 private:
  Tensor zeros_;  ///< if the constant row is too short, and on devices
  std::optional<Epilogue> epilogue_;
};

}  // namespace halnorm::HALNORM_ABI::detail
