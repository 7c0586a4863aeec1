#pragma once

#include <memory>
#include <utility>

#include "base/strides.h"
#include "base/write_count.h"
#include "device/memory.h"
#include "halnorm/distributed.h"
#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

/// The distribution of a global tensor. The elements of the tensor's Impl are the rank's part.
struct Distribution {
  Placement placement;
  Sbp sbp;
  Shape shape;                        ///< of the whole tensor if it is split, otherwise empty
  std::vector<std::int64_t> extents;  ///< of each rank's part along the axis of the split
};

}  // namespace detail

/// The fields that all handles on one tensor share.
struct Tensor::Impl {
  std::shared_ptr<void> storage;  ///< owns the count of writes, and the memory if it is owned
  std::shared_ptr<const detail::DeviceMemory> memory;  ///< null for the host
  detail::WriteCount* writes = nullptr;                ///< in storage or memory
  std::uint32_t replaced = 0;                          ///< calls of set_data() on this object
  void* data = nullptr;                                ///< the element with all indices zero
  Shape shape;
  detail::Strides strides;
  std::int64_t numel = 0;
  DType dtype = DType::Float32;
  Device device;
  std::shared_ptr<const detail::Distribution> distribution;  ///< null for a local tensor
  detail::ByteRange bytes;                                   ///< empty if there are no elements
  bool contiguous = true;

  Impl() = default;
  Impl(std::shared_ptr<void> owner, detail::WriteCount* write_count, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);
  Impl(std::shared_ptr<const detail::DeviceMemory> place, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);

  /// Fields of a new dense tensor on the host, whose elements and dtype the caller sets.
  static std::shared_ptr<Impl> fresh(const Shape& extents, bool channels_last);

  /// Whether the elements are only a part of the global tensor.
  [[nodiscard]] bool is_part() const noexcept {
    return distribution != nullptr && !distribution->sbp.is_broadcast();
  }
  /// A tensor of the same dtype and distribution on the same storage.
  [[nodiscard]] std::shared_ptr<Impl> view_of(void* first, Shape extents,
                                              detail::Strides steps) const;
};

namespace detail {

/// Access to a tensor's fields for the runtime.
struct TensorAccess {
  /// The fields of a defined tensor. Small calls would notice an accessor call for each field.
  static const Tensor::Impl& of(const Tensor& tensor) noexcept { return *tensor.impl_; }

  /// Another handle on the same elements.
  static Tensor alias(const Tensor& tensor) {
    const Tensor::Impl& all = of(tensor);
    return Tensor(all.view_of(all.data, all.shape, all.strides));
  }

  using Fields = Tensor::Impl;

  /// A handle that does not own its fields. Copies of the handle and views must not outlive them.
  static Tensor borrow(Fields& fields) noexcept {
    return Tensor(std::shared_ptr<Fields>(std::shared_ptr<void>(), &fields));
  }

  /// An alias with another distribution; null makes it local.
  static Tensor distributed(const Tensor& tensor, std::shared_ptr<const Distribution> how) {
    Tensor result = alias(tensor);
    result.impl_->distribution = std::move(how);
    return result;
  }

  /// set_data() without an allocation: it moves the fields of a handle that is not shared.
  static void take_over(Tensor& tensor, Tensor& alias) noexcept {
    alias.impl_->replaced = tensor.impl_->replaced + 1;
    *tensor.impl_ = std::move(*alias.impl_);
  }

  /// Tensor::empty(), with the channels innermost if `channels_last`. Errors are in the name of the
  /// function that makes the tensor.
  static Tensor make(const char* function, const Shape& shape, DType dtype, Device device,
                     bool channels_last = false);

  /// A tensor of stride 0, over a tensor of one element.
  static Tensor repeated(const Tensor& one, std::int64_t times) {
    return view(one, one.impl_->data, {times}, {0});
  }

  /// A tensor on the memory of another.
  static Tensor view(const Tensor& of, void* first, Shape shape, Strides strides) {
    return Tensor(of.impl_->view_of(first, std::move(shape), std::move(strides)));
  }
};

/// The result of make() for the rank's part, as a global tensor with the same distribution.
template <class Make>
Tensor from_part(const Tensor& global, Make make) {
  return TensorAccess::distributed(make(TensorAccess::distributed(global, nullptr)),
                                   TensorAccess::of(global).distribution);
}

/// The version of a tensor; 0 for an undefined one.
inline Version version_of(const Tensor& tensor) noexcept {
  if (!tensor.defined()) {
    return 0;
  }
  const auto& fields = TensorAccess::of(tensor);
  return (Version{fields.replaced} << 32) + fields.writes->get();
}

/// To be called by every function that writes a tensor's elements.
inline void count_write(const Tensor& tensor) noexcept { TensorAccess::of(tensor).writes->add(); }

/// The device memory of a tensor; null for the host and for an undefined tensor.
inline const DeviceMemory* memory_of(const Tensor& tensor) noexcept {
  return tensor.defined() ? TensorAccess::of(tensor).memory.get() : nullptr;
}

}  // namespace detail

}  // namespace halnorm::HALNORM_ABI
