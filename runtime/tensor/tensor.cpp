#include "halnorm/tensor.h"

#include <algorithm>
#include <array>
#include <string>

#include "device/memory.h"
#include "halnorm/error.h"
#include "kernels/call.h"
#include "tensor/impl.h"

namespace halnorm {

namespace {

bool all_fit_32_bits(const std::vector<std::int64_t>& values) noexcept {
  return std::all_of(values.begin(), values.end(),
                     [](std::int64_t value) { return value == static_cast<std::int32_t>(value); });
}

/// Extents and strides fit in 32 bits. Halide counts dimensions from the innermost.
Halide::Runtime::Buffer<> halide_view(void* data, const Shape& shape,
                                      const detail::Strides& strides, DType dtype) {
  const std::size_t rank = shape.size();
  const auto dimension = [&](std::size_t axis) {
    return halide_dimension_t(0, static_cast<std::int32_t>(shape[axis]),
                              static_cast<std::int32_t>(strides[axis]));
  };
  constexpr std::size_t usual_rank = 4;
  if (rank <= usual_rank) {  // without an allocation
    std::array<halide_dimension_t, usual_rank> dims;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      dims[rank - 1 - axis] = dimension(axis);
    }
    return Halide::Runtime::Buffer<>(detail::halide_type(dtype), data, static_cast<int>(rank),
                                     dims.data());
  }
  std::vector<halide_dimension_t> dims(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    dims[rank - 1 - axis] = dimension(axis);
  }
  return Halide::Runtime::Buffer<>(detail::halide_type(dtype), data, dims);
}

/// Apart, so that the check itself is short enough to be part of each accessor.
[[noreturn, gnu::cold]] void throw_undefined(const char* function) {
  throw ValueError(std::string("Tensor::") + function +
                   ": got an undefined tensor, wanted a defined one");
}

}  // namespace

Tensor::Impl::Impl(std::shared_ptr<void> owner, detail::WriteCount* write_count, void* first,
                   Shape extents, detail::Strides steps, std::int64_t count, DType type)
    : storage(std::move(owner)),
      writes(write_count),
      data(first),
      shape(std::move(extents)),
      strides(std::move(steps)),
      numel(count),
      dtype(type),
      bytes(numel == 0 ? detail::ByteRange{}
                       : detail::byte_range(data, shape, strides, size_of(dtype))),
      contiguous(detail::is_contiguous(shape, strides)),
      fits_halide(all_fit_32_bits(shape) && all_fit_32_bits(strides)),
      view(fits_halide ? halide_view(data, shape, strides, dtype) : Halide::Runtime::Buffer<>()) {}

Tensor::Impl::Impl(std::shared_ptr<const detail::DeviceMemory> place, void* first, Shape extents,
                   detail::Strides steps, std::int64_t count, DType type)
    : memory(std::move(place)),
      writes(&memory->writes()),
      data(first),
      shape(std::move(extents)),
      strides(std::move(steps)),
      numel(count),
      dtype(type),
      device(memory->device()),
      bytes(numel == 0 ? detail::ByteRange{}
                       : detail::byte_range(data, shape, strides, size_of(dtype))),
      contiguous(detail::is_contiguous(shape, strides)),
      fits_halide(false) {}

std::shared_ptr<Tensor::Impl> Tensor::Impl::view_of(void* first, Shape extents,
                                                    detail::Strides steps) const {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents) {
    count *= extent;
  }
  if (memory) {
    return std::make_shared<Impl>(memory, first, std::move(extents), std::move(steps), count,
                                  dtype);
  }
  return std::make_shared<Impl>(storage, writes, first, std::move(extents), std::move(steps), count,
                                dtype);
}

Tensor::Impl& Tensor::impl(const char* function) const {
  if (!impl_) {
    throw_undefined(function);
  }
  return *impl_;
}

const Shape& Tensor::shape() const { return impl("shape").shape; }
const std::vector<std::int64_t>& Tensor::strides() const { return impl("strides").strides; }
std::int64_t Tensor::dim() const { return static_cast<std::int64_t>(impl("dim").shape.size()); }
std::int64_t Tensor::numel() const { return impl("numel").numel; }
DType Tensor::dtype() const { return impl("dtype").dtype; }
Device Tensor::device() const { return impl("device").device; }
bool Tensor::is_contiguous() const { return impl("is_contiguous").contiguous; }
void* Tensor::raw_data() const { return impl("raw_data").data; }

std::int64_t Tensor::size(std::int64_t axis) const {
  const Shape& extents = impl("size").shape;
  return extents[detail::checked_axis("Tensor::size", axis, extents.size())];
}

void Tensor::require_host(const char* function, const Impl& self) {
  if (self.memory) {
    throw DeviceError(std::string("Tensor::") + function + ": got a tensor on " +
                      self.device.str() + ", wanted one on cpu");
  }
}

template <class T>
T* Tensor::data() const {
  const Impl& self = impl("data");
  require_host("data", self);
  if (self.dtype != DTypeOf<T>::value) {
    throw DTypeError("Tensor::data: got a " + std::string(name_of(self.dtype)) +
                     " tensor, wanted " + std::string(name_of(DTypeOf<T>::value)));
  }
  return static_cast<T*>(self.data);
}
template float* Tensor::data<float>() const;
template double* Tensor::data<double>() const;
template std::int64_t* Tensor::data<std::int64_t>() const;

bool Tensor::is_same(const Tensor& other) const noexcept { return impl_ && impl_ == other.impl_; }

void Tensor::set_data(const Tensor& other) {
  Impl& self = impl("set_data");
  if (is_same(other)) {
    return;
  }
  Impl copy = other.impl("set_data");  // may throw; the move below cannot
  copy.replaced = self.replaced + 1;
  self = std::move(copy);
}

Halide::Runtime::Buffer<>& Tensor::buffer() const {
  Impl& self = impl("buffer");
  require_host("buffer", self);
  if (!self.fits_halide) {
    throw ShapeError("Tensor::buffer: got shape " + detail::to_string(self.shape) +
                     " with strides " + detail::to_string(self.strides) +
                     ", wanted extents and strides that fit in 32 bits");
  }
  return self.view;
}

}  // namespace halnorm
