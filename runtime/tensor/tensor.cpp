#include "halnorm/tensor.h"

#include <string>

#include "device/memory.h"
#include "halnorm/error.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI {

namespace {

/// Apart, so that the check itself is short enough to be part of each accessor.
[[noreturn, gnu::cold]] void throw_undefined(const char* function) {
  throw ValueError(std::string("Tensor::") + function +
                   ": got an undefined tensor, wanted a defined one");
}

[[noreturn, gnu::cold]] void throw_part(const char* function, const Sbp& sbp) {
  throw ValueError(std::string("Tensor::") + function + ": got a global tensor of sbp " +
                   sbp.str() + ", wanted a local one: to_local() is this rank's part");
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
      contiguous(detail::is_contiguous(shape, strides)) {}

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
      contiguous(detail::is_contiguous(shape, strides)) {}

std::shared_ptr<Tensor::Impl> Tensor::Impl::view_of(void* first, Shape extents,
                                                    detail::Strides steps) const {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents) {
    count *= extent;
  }
  auto result = memory ? std::make_shared<Impl>(memory, first, std::move(extents), std::move(steps),
                                                count, dtype)
                       : std::make_shared<Impl>(storage, writes, first, std::move(extents),
                                                std::move(steps), count, dtype);
  result->distribution = distribution;
  return result;
}

Tensor::Impl& Tensor::any_impl(const char* function) const {
  if (!impl_) {
    throw_undefined(function);
  }
  return *impl_;
}

Tensor::Impl& Tensor::impl(const char* function) const {
  Impl& self = any_impl(function);
  if (self.distribution && self.is_part()) {
    throw_part(function, self.distribution->sbp);
  }
  return self;
}

const Shape& Tensor::shape() const {
  const Impl& self = any_impl("shape");
  return self.distribution && !self.distribution->shape.empty() ? self.distribution->shape
                                                                : self.shape;
}

std::int64_t Tensor::numel() const {
  const Impl& self = any_impl("numel");
  return self.distribution ? detail::checked_numel("Tensor::numel", shape(), 1) : self.numel;
}

const std::vector<std::int64_t>& Tensor::strides() const { return impl("strides").strides; }
std::int64_t Tensor::dim() const { return static_cast<std::int64_t>(any_impl("dim").shape.size()); }
DType Tensor::dtype() const { return any_impl("dtype").dtype; }
Device Tensor::device() const { return any_impl("device").device; }
bool Tensor::is_contiguous() const { return impl("is_contiguous").contiguous; }
void* Tensor::raw_data() const { return impl("raw_data").data; }

std::int64_t Tensor::size(std::int64_t axis) const {
  static_cast<void>(any_impl("size"));
  const Shape& extents = shape();
  return extents[detail::checked_axis("Tensor::size", axis, extents.size())];
}

namespace {

void require_host(const char* function, const detail::TensorAccess::Fields& self) {
  if (self.memory) {
    throw DeviceError(std::string("Tensor::") + function + ": got a tensor on " +
                      self.device.str() + ", wanted one on cpu");
  }
}

}  // namespace

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
  Impl& self = any_impl("set_data");
  if (is_same(other)) {
    return;
  }
  Impl copy = other.any_impl("set_data");  // may throw; the move below cannot
  copy.replaced = self.replaced + 1;
  self = std::move(copy);
}

}  // namespace halnorm::HALNORM_ABI
