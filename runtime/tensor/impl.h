#pragma once

#include <memory>
#include <utility>

#include "base/strides.h"
#include "base/write_count.h"
#include "device/memory.h"
#include "halnorm/tensor.h"

namespace halnorm {

/// What every handle on one tensor shares.
struct Tensor::Impl {
  std::shared_ptr<void> storage;  ///< keeps alive the count of writes, and memory that is owned
  std::shared_ptr<const detail::DeviceMemory> memory;  ///< null for the host
  detail::WriteCount* writes = nullptr;                ///< in storage or memory
  std::uint32_t replaced = 0;                          ///< calls of set_data() on this object
  void* data = nullptr;                                ///< the element with all indices zero
  Shape shape;
  detail::Strides strides;
  std::int64_t numel = 0;
  DType dtype = DType::Float32;
  Device device;
  detail::ByteRange bytes;  ///< nowhere if it has no elements
  bool contiguous = true;

  Impl(std::shared_ptr<void> owner, detail::WriteCount* write_count, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);
  Impl(std::shared_ptr<const detail::DeviceMemory> place, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);

  /// A tensor of the same dtype over the same storage.
  [[nodiscard]] std::shared_ptr<Impl> view_of(void* first, Shape extents,
                                              detail::Strides steps) const;
};

namespace detail {

/// The way to a tensor's fields for the runtime itself.
struct TensorAccess {
  /// Of a defined tensor: a call of an accessor for each field would be felt in a small call.
  static const Tensor::Impl& of(const Tensor& tensor) noexcept { return *tensor.impl_; }

  /// Another handle on the same elements.
  static Tensor alias(const Tensor& tensor) {
    const Tensor::Impl& all = of(tensor);
    return Tensor(all.view_of(all.data, all.shape, all.strides));
  }

  using Fields = Tensor::Impl;

  /// A handle that does not own its fields: no handle on them and no view may outlive them.
  static Tensor borrow(Fields& fields) noexcept {
    return Tensor(std::shared_ptr<Fields>(std::shared_ptr<void>(), &fields));
  }

  /// set_data() that needs no memory: the elements are taken from a handle that nobody else has.
  static void take_over(Tensor& tensor, Tensor& alias) noexcept {
    alias.impl_->replaced = tensor.impl_->replaced + 1;
    *tensor.impl_ = std::move(*alias.impl_);
  }

  /// A tensor of stride 0, over a tensor of one element.
  static Tensor repeated(const Tensor& one, std::int64_t times) {
    return Tensor(one.impl_->view_of(one.impl_->data, {times}, {0}));
  }
};

/// Of a tensor, or 0 of an undefined one.
inline Version version_of(const Tensor& tensor) noexcept {
  if (!tensor.defined()) {
    return 0;
  }
  const auto& fields = TensorAccess::of(tensor);
  return (Version{fields.replaced} << 32) + fields.writes->get();
}

/// To be called by whatever writes a tensor's elements.
inline void count_write(const Tensor& tensor) noexcept { TensorAccess::of(tensor).writes->add(); }

/// Where a tensor's elements lie, null for the host and for an undefined tensor.
inline const DeviceMemory* memory_of(const Tensor& tensor) noexcept {
  return tensor.defined() ? TensorAccess::of(tensor).memory.get() : nullptr;
}

}  // namespace detail

}  // namespace halnorm
