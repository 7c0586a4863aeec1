#include "functional/arguments/parameter_types.h"

#include <algorithm>

#include "functional/arguments/data_view.h"
#include "tensor/impl.h"
#include "tensor/rows.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

using Values = TensorAccess::Fields;

/// Whether a kernel's 32-bit indices reach every value.
bool is_in_reach(const Values& values) noexcept {
  const std::int64_t last = values.shape[0] - 1;
  const std::int64_t stride = values.strides[0];
  const bool is_dense = stride == 1 || stride == 0;  // without a division
  return is_dense || last < 1 ||
         (stride <= max_kernel_offset / last && stride >= -max_kernel_offset / last);
}

bool is_usable_in_place(const Tensor& given, DType dtype) noexcept {
  const auto& fields = TensorAccess::of(given);
  return fields.dtype == dtype && is_in_reach(fields);
}

}  // namespace

LoadedParameter::LoadedParameter(const Tensor& given, DType data)
    : given_(given),
      converted_(given.defined() && !is_usable_in_place(given, parameter_dtype(data))),
      copy_(converted_ ? given.to(parameter_dtype(data)).contiguous() : Tensor()) {}

bool wants_widened_data(const Tensor& x, std::initializer_list<const Tensor*> parameters) noexcept {
  return TensorAccess::of(x).dtype != DType::Float64 &&
         std::any_of(parameters.begin(), parameters.end(), [](const Tensor* t) {
           return t->defined() && TensorAccess::of(*t).dtype == DType::Float64;
         });
}

Tensor widened(const Tensor& data) {
  Tensor wide = empty_in_layout(data, layout_of(data), DType::Float64);
  wide.copy_(data);
  return wide;
}

Tensor narrowed(const Tensor& wide, const Tensor& like, Tensor out) {
  if (!out.defined()) {
    out = empty_in_layout(like, layout_of(like));
  }
  out.copy_(wide);
  return out;
}

DType gradient_dtype(const Tensor& weight, const Tensor& x) noexcept {
  return weight.defined() ? weight.dtype() : parameter_dtype(x.dtype());
}

DType kernel_gradient_dtype(const Tensor& x) noexcept {
  return x.device() == Device::cpu() ? DType::Float64 : parameter_dtype(x.dtype());
}

void store_channels(const Tensor& target, const Tensor& source) {
  if (target.device() != Device::cpu()) {
    Tensor there = target;
    there.copy_(source);
    return;
  }
  convert_row(row_of(target), row_of(source), target.numel());
}

}  // namespace halnorm::HALNORM_ABI::detail
