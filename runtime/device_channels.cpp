#include "device_channels.h"

#include <algorithm>
#include <functional>

#include "constant.h"
#include "data_view.h"
#include "passes.h"
#include "tensor_impl.h"

namespace halnorm::detail {

namespace {

/// The channels of a batch of one value each.
View single_values(const Tensor& values) {
  const std::int64_t channels = values.shape()[0];
  return {static_cast<std::byte*>(values.raw_data()),
          values.dtype(),
          Layout::ncl,
          1,
          channels,
          1,
          channels,
          values.strides()[0],
          memory_of(values)};
}

/// y = (x - mean) * invstd * weight + bias; mean and invstd are Float64, the others of y's dtype.
void normalize_values(const Tensor& y, const Tensor& x, const Tensor& mean, const Tensor& invstd,
                      const Tensor& weight, const Tensor& bias) {
  normalize_pass("channels", single_values(x), channels_of(weight), channels_of(bias),
                 channels_of(mean), channels_of(invstd), single_values(y));
}

Tensor all(double value, const Tensor& like, DType dtype) {
  return constant(value, like.shape()[0], dtype, like.device());
}

}  // namespace

Tensor channels_to(const Tensor& values, DType dtype) {
  if (values.device() == Device::cpu() || values.dtype() != DType::Float64 ||
      dtype != DType::Float32 || values.numel() == 0) {
    return values.to(dtype);
  }
  Tensor y = Tensor::empty(values.shape(), dtype, values.device());
  // (0 - value) * -1: the mean is taken in two parts, whose sum is rounded once.
  normalize_values(y, all(0, y, dtype), values, all(1, y, DType::Float64), all(-1, y, dtype),
                   all(0, y, dtype));
  return y;
}

bool can_add_channels(const Tensor& sum) {
  const DeviceMemory* memory = memory_of(sum);
  return memory != nullptr && memory->can_hold_channels_at(sum.raw_data()) &&
         size_of(sum.dtype()) >= size_of(DType::Float32);
}

void add_channels(const Tensor& sum, const Tensor& addend) {
  if (sum.numel() > 0) {
    normalize_values(sum, sum, all(0, sum, DType::Float64), all(1, sum, DType::Float64),
                     all(1, sum, sum.dtype()), addend);
  }
}

Tensor multiply_channels(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty(a.shape(), DType::Float64, a.device());
  if (a.device() == Device::cpu()) {
    std::transform(a.data<double>(), a.data<double>() + a.numel(), b.data<double>(),
                   y.data<double>(), std::multiplies<>());
  } else if (a.numel() > 0) {
    normalize_values(y, a, all(0, a, DType::Float64), b, all(1, a, DType::Float64),
                     all(0, a, DType::Float64));
  }
  return y;
}

}  // namespace halnorm::detail
