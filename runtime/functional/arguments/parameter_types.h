#pragma once

#include <initializer_list>

#include "halnorm/tensor.h"
#include "kernels/data_types.h"

/// @file
/// Parameters and running statistics of another dtype than the kernel's parameters. Narrower ones
/// are converted before the kernel, C values in each call. Float64 ones widen the call: the data is
/// copied to Float64, and y or dx is rounded once.

namespace halnorm::HALNORM_ABI::detail {

/// One value per channel in the kernel's parameter dtype: the caller's tensor, or a copy.
class LoadedParameter {
 public:
  LoadedParameter(const Tensor& given, DType data);
  LoadedParameter(const LoadedParameter&) = delete;
  LoadedParameter& operator=(const LoadedParameter&) = delete;

  [[nodiscard]] const Tensor& get() const noexcept { return converted_ ? copy_ : given_; }

 private:
  const Tensor& given_;
  bool converted_;
  Tensor copy_;
};

/// Whether a parameter is Float64 and the data is not.
bool wants_widened_data(const Tensor& x, std::initializer_list<const Tensor*> parameters) noexcept;

/// x or dy as Float64, laid out like it.
Tensor widened(const Tensor& data);

/// Rounds a Float64 y or dx into `out`, or into a new tensor of `like`'s dtype and layout.
Tensor narrowed(const Tensor& wide, const Tensor& like, Tensor out);

/// The dtype of dweight and dbias: the weight's own, or that of the data's parameters.
DType gradient_dtype(const Tensor& weight, const Tensor& x) noexcept;

/// The dtype of a kernel's dweight and dbias: Float64, on a device that of the data's parameters.
DType kernel_gradient_dtype(const Tensor& x) noexcept;

/// Copies one value per channel, rounded once, into a tensor of any stride and dtype. On the host
/// it allocates nothing, so that it cannot fail between two tensors that are written together.
void store_channels(const Tensor& target, const Tensor& source);

}  // namespace halnorm::HALNORM_ABI::detail
