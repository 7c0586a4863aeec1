#include <algorithm>

#include "base/strides.h"
#include "device/memory.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI {

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

}  // namespace

/// Host memory for a copy with the same strides.
Tensor Tensor::host_room() const {
  const Span span = span_of(*this);
  const Tensor all = empty({span.length}, impl_->dtype);
  auto* first = static_cast<std::byte*>(all.impl_->data) +
                span.before * static_cast<std::int64_t>(size_of(impl_->dtype));
  return Tensor(all.impl_->view_of(first, impl_->shape, impl_->strides));
}

/// A copy in host memory with the same strides, and with whatever lies between the elements.
Tensor Tensor::on_host() const {
  const Impl& self = impl("to");
  if (!self.memory) {
    return *this;
  }
  const Span span = span_of(*this);
  Tensor copy = host_room();
  self.memory->read(const_cast<std::byte*>(start_of(copy, span)), start_of(*this, span),
                    span.length);
  return copy;
}

/// copy_() where one of the two is not on the host: directly on one device if all that changes is
/// the place, else through the host.
void Tensor::copy_across(const Tensor& source) {
  const Impl& self = *impl_;
  const Impl& other = *source.impl_;
  const bool same_layout = self.contiguous && other.contiguous && self.dtype == other.dtype;
  if (same_layout && self.memory && self.device == other.device) {
    if (self.data == other.data) {
      return;
    }
    if (!detail::may_overlap(*this, source)) {
      self.memory->copy(self.data, *other.memory, other.data, self.numel);
      return;
    }
  }
  const Tensor from = source.on_host();
  if (!self.memory) {
    copy_(from);
  } else if (self.contiguous) {
    const Tensor dense = from.to(self.dtype).contiguous();
    self.memory->write(dense.raw_data(), self.data, self.numel);
  } else {
    Tensor strided = host_room();
    strided.copy_(from);
    self.memory->write(strided.raw_data(), self.data,
                       detail::walk_axes(self.shape, self.strides, self.strides));
  }
}

}  // namespace halnorm::HALNORM_ABI
