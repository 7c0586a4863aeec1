#include <algorithm>
#include <string>

#include "halnorm/error.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI {

namespace {

/// The shape with its one extent of -1, if any, made to fit the element count.
Shape completed(Shape wanted, const Shape& shape, std::int64_t numel) {
  const auto open = std::find(wanted.begin(), wanted.end(), -1);
  Shape known = wanted;
  if (open != wanted.end()) {
    known.erase(known.begin() + (open - wanted.begin()));
  }
  const std::int64_t count = detail::checked_numel("Tensor::reshape", known, 1);
  const bool fits = open == wanted.end() ? count == numel : count != 0 && numel % count == 0;
  if (!fits) {
    throw ShapeError("Tensor::reshape: got " + detail::to_string(wanted) +
                     " for a tensor of shape " + detail::to_string(shape) + ", wanted a shape of " +
                     std::to_string(numel) + " elements");
  }
  if (open != wanted.end()) {
    *open = numel / count;
  }
  return wanted;
}

}  // namespace

Tensor Tensor::transpose(std::int64_t axis_a, std::int64_t axis_b) const {
  const Impl& self = impl("transpose");
  const std::size_t a = detail::checked_axis("Tensor::transpose", axis_a, self.shape.size());
  const std::size_t b = detail::checked_axis("Tensor::transpose", axis_b, self.shape.size());
  Shape shape = self.shape;
  detail::Strides strides = self.strides;
  std::swap(shape[a], shape[b]);
  std::swap(strides[a], strides[b]);
  return Tensor(self.view_of(self.data, std::move(shape), std::move(strides)));
}

Tensor Tensor::reshape(Shape shape) const {
  const Impl& self = impl("reshape");
  shape = completed(std::move(shape), self.shape, self.numel);
  auto strides = detail::reshaped_strides(self.shape, self.strides, shape);
  if (!strides) {
    return clone().reshape(std::move(shape));
  }
  return Tensor(self.view_of(self.data, std::move(shape), std::move(*strides)));
}

Tensor Tensor::narrow(std::int64_t axis, std::int64_t start, std::int64_t length) const {
  const Impl& self = impl("narrow");
  const std::size_t at = detail::checked_axis("Tensor::narrow", axis, self.shape.size());
  const std::int64_t extent = self.shape[at];
  if (start < 0 || length < 0 || start > extent || length > extent - start) {
    throw ShapeError("Tensor::narrow: got start " + std::to_string(start) + " and length " +
                     std::to_string(length) + " on axis " + std::to_string(at) +
                     ", wanted a range in [0, " + std::to_string(extent) + "]");
  }
  Shape shape = self.shape;
  shape[at] = length;
  auto* first = static_cast<std::byte*>(self.data);
  if (self.numel > 0 && length > 0) {  // an empty view needs no address, and may have none
    first += start * self.strides[at] * static_cast<std::int64_t>(size_of(self.dtype));
  }
  return Tensor(self.view_of(first, std::move(shape), self.strides));
}

}  // namespace halnorm::HALNORM_ABI
