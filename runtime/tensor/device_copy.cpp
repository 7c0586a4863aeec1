#include "tensor/device_copy.h"

#include <algorithm>

#include "base/strides.h"
#include "device/memory.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Neighbouring elements, from the lowest to the highest that a tensor has.
struct Span {
  std::int64_t before;  ///< the element with all indices zero
  std::int64_t length;
};

Span span_of(const Tensor& t) {
  Span span{0, 1};
  for (std::size_t axis = 0; axis < t.shape().size(); ++axis) {
    const std::int64_t reach = t.strides()[axis] * (t.shape()[axis] - 1);
    span.before += std::max<std::int64_t>(-reach, 0);
    span.length += std::abs(reach);
  }
  return span;
}

const std::byte* start_of(const Tensor& t, const Span& span) {
  return static_cast<const std::byte*>(t.raw_data()) -
         span.before * static_cast<std::int64_t>(size_of(t.dtype()));
}

/// Host memory for a copy with the same strides.
Tensor host_room(const Tensor& t) {
  const auto& self = TensorAccess::of(t);
  const Span span = span_of(t);
  const Tensor all = Tensor::empty({span.length}, self.dtype);
  auto* first = static_cast<std::byte*>(TensorAccess::of(all).data) +
                span.before * static_cast<std::int64_t>(size_of(self.dtype));
  return TensorAccess::view(all, first, self.shape, self.strides);
}

}  // namespace

Tensor on_host(const Tensor& tensor) {
  const auto& self = TensorAccess::of(tensor);
  if (!self.memory) {
    return tensor;
  }
  const Span span = span_of(tensor);
  Tensor copy = host_room(tensor);
  self.memory->read(const_cast<std::byte*>(start_of(copy, span)), start_of(tensor, span),
                    span.length);
  return copy;
}

void copy_across(const Tensor& to, const Tensor& source) {
  const auto& self = TensorAccess::of(to);
  const auto& other = TensorAccess::of(source);
  const bool same_layout = self.contiguous && other.contiguous && self.dtype == other.dtype;
  if (same_layout && self.memory && self.device == other.device) {
    if (self.data == other.data) {
      return;
    }
    if (!may_overlap(to, source)) {
      self.memory->copy(self.data, *other.memory, other.data, self.numel);
      return;
    }
  }
  const Tensor from = on_host(source);
  if (!self.memory) {
    Tensor(to).copy_(from);
  } else if (self.contiguous) {
    const Tensor dense = from.to(self.dtype).contiguous();
    self.memory->write(dense.raw_data(), self.data, self.numel);
  } else {
    Tensor strided = host_room(to);
    strided.copy_(from);
    self.memory->write(strided.raw_data(), self.data,
                       walk_axes(self.shape, self.strides, self.strides));
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
