#pragma once

#include <initializer_list>

#include "halnorm/tensor.h"
#include "kernels/data_types.h"

/// @file
/// Parameters and running statistics of another dtype than the one that goes with the data.
/// Narrower ones are converted where a kernel loads them, C values a call. Wider ones make the call
/// a wider one: the data is copied to Float64, and y or dx rounded once on its way back.

namespace halnorm::detail {

/// One value per channel as the kernels for such data load it: the caller's tensor, or a copy.
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

/// Whether a parameter is Float64 beside data that is not.
bool wants_widened_data(const Tensor& x, std::initializer_list<const Tensor*> parameters) noexcept;

/// x or dy as Float64, laid out like it.
Tensor widened(const Tensor& data);

/// A Float64 y or dx as the narrow call gives it: in `out` where that is defined, otherwise in a
/// new tensor of `like`'s dtype and layout.
Tensor narrowed(const Tensor& wide, const Tensor& like, Tensor out);

/// The dtype of gradients: the weight's own, or what goes with the data.
DType gradient_dtype(const Tensor& weight, const Tensor& x) noexcept;

/// The dtype in which a kernel gives them: Float64, and on a device one that needs no rounding.
DType kernel_gradient_dtype(const Tensor& x) noexcept;

/// Copies one value per channel, rounded once, into a tensor of any stride and dtype. Allocates
/// nothing on the host, and so cannot fail between two tensors that belong together.
void store_channels(const Tensor& target, const Tensor& source);

}  // namespace halnorm::detail
