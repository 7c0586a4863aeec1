#include "functional/channel_math.h"

#include <algorithm>
#include <functional>

#include "functional/arguments/data_view.h"
#include "kernels/data_types.h"
#include "plan/execution/execute.h"
#include "plan/execution/run.h"
#include "tensor/constants.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// The values as data with one value per channel.
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
void normalize_values(const char* function, const Tensor& y, const Tensor& x, const Tensor& mean,
                      const Tensor& invstd, const Tensor& weight, const Tensor& bias) {
  execute(function, ElemtOperands{single_values(x), channels_of(weight), channels_of(bias),
                                  channels_of(mean), channels_of(invstd), single_values(y)});
}

bool is_rounded_there(const Tensor& values, DType dtype) {
  return values.device() != Device::cpu() && values.dtype() == DType::Float64 &&
         dtype == DType::Float32 && values.numel() > 0;
}

/// Rounds by an update of running statistics: 0 * 0 + 1 * value is rounded once, and is infinite
/// beyond float32's range. The variance is that of two values, value / (2 - 1).
std::pair<Tensor, Tensor> rounded(const char* function, const Tensor& a, const Tensor& b) {
  constexpr double count = 2;
  constexpr double factor = 1;
  const std::int64_t channels = a.numel();
  const Tensor first = Tensor::empty({channels}, DType::Float32, a.device());
  const Tensor second = Tensor::empty({channels}, DType::Float32, a.device());
  const Tensor zero = zeros(channels, first);
  const Channels old = channels_of(zero);
  run(function, select_kernel(rows::update_running_stats, Layout::c, Element::f32, a.device().type),
      old, old, channels_of(a), channels_of(b), count, factor, channels_of(first),
      channels_of(second));
  return {first, second};
}

Tensor all(double value, const Tensor& like, DType dtype) {
  return constant(value, like.shape()[0], dtype, like.device());
}

}  // namespace

Tensor channels_to(const char* function, const Tensor& values, DType dtype) {
  return is_rounded_there(values, dtype) ? rounded(function, values, values).first
                                         : values.to(dtype);
}

std::pair<Tensor, Tensor> channels_to(const char* function, const Tensor& a, const Tensor& b,
                                      DType dtype) {
  if (is_rounded_there(a, dtype) && is_rounded_there(b, dtype)) {
    return rounded(function, a, b);
  }
  return {a.to(dtype), b.to(dtype)};
}

bool can_add_channels(const Tensor& sum) {
  const DeviceMemory* memory = memory_of(sum);
  return memory != nullptr && memory->can_hold_channels_at(sum.raw_data()) &&
         size_of(sum.dtype()) >= size_of(DType::Float32);
}

void add_channels(const char* function, const Tensor& sum, const Tensor& addend) {
  if (sum.numel() > 0) {
    normalize_values(function, sum, sum, all(0, sum, DType::Float64), all(1, sum, DType::Float64),
                     all(1, sum, sum.dtype()), addend);
  }
}

Tensor multiply_channels(const char* function, const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty(a.shape(), DType::Float64, a.device());
  if (a.device() == Device::cpu()) {
    std::transform(a.data<double>(), a.data<double>() + a.numel(), b.data<double>(),
                   y.data<double>(), std::multiplies<>());
  } else if (a.numel() > 0) {
    normalize_values(function, y, a, all(0, a, DType::Float64), b, all(1, a, DType::Float64),
                     all(0, a, DType::Float64));
  }
  return y;
}

}  // namespace halnorm::HALNORM_ABI::detail
