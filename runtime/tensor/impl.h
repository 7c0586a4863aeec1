#pragma once

#include <memory>
#include <utility>

#include "base/strides.h"
#include "base/write_count.h"
#include "device/memory.h"
#include "halnorm/distributed.h"
#include "halnorm/tensor.h"

namespace halnorm {

namespace detail {

/// What makes a tensor a global one. The elements that it is beside are the rank's own part.
struct Distribution {
  Placement placement;
  Sbp sbp;
  Shape shape;                        ///< of the whole tensor if it is split, otherwise empty
  std::vector<std::int64_t> extents;  ///< of each rank's part along the axis of the split
};

}  // namespace detail

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
  std::shared_ptr<const detail::Distribution> distribution;  ///< null for a local tensor
  detail::ByteRange bytes;                                   ///< nowhere if it has no elements
  bool contiguous = true;

  Impl(std::shared_ptr<void> owner, detail::WriteCount* write_count, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);
  Impl(std::shared_ptr<const detail::DeviceMemory> place, void* first, Shape extents,
       detail::Strides steps, std::int64_t count, DType type);

  /// Whether the elements are only a part of the tensor's.
  [[nodiscard]] bool is_part() const noexcept {
    return distribution != nullptr && !distribution->sbp.is_broadcast();
  }
  /// A tensor of the same dtype and distribution over the same storage.
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

  /// The same with another distribution, null for a local tensor.
  static Tensor distributed(const Tensor& tensor, std::shared_ptr<const Distribution> how) {
    Tensor result = alias(tensor);
    result.impl_->distribution = std::move(how);
    return result;
  }

  /// set_data() that needs no memory: the elements are taken from a handle that nobody else has.
  static void take_over(Tensor& tensor, Tensor& alias) noexcept {
    alias.impl_->replaced = tensor.impl_->replaced + 1;
    *tensor.impl_ = std::move(*alias.impl_);
  }

  /// Another view from the same first element.
  static Tensor strided(const Tensor& tensor, Shape shape, Strides strides) {
    return Tensor(tensor.impl_->view_of(tensor.impl_->data, std::move(shape), std::move(strides)));
  }

  /// A tensor of stride 0, over a tensor of one element.
  static Tensor repeated(const Tensor& one, std::int64_t times) {
    return Tensor(one.impl_->view_of(one.impl_->data, {times}, {0}));
  }
};

/// What make() gives for the part of a global tensor, as a global tensor distributed alike.
template <class Make>
Tensor from_part(const Tensor& global, Make make) {
  return TensorAccess::distributed(make(TensorAccess::distributed(global, nullptr)),
                                   TensorAccess::of(global).distribution);
}

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
