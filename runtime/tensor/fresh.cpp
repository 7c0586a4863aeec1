#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "kernels/memory/workspace.h"
#include "tensor/impl.h"

/// @file
/// Fields of new tensors. A thread keeps those of tensors that ended, with the memory of shape and
/// strides, so that a small output costs no allocation but that of its elements.

namespace halnorm::HALNORM_ABI {

namespace {

using detail::keep_object;
using Fields = detail::TensorAccess::Fields;

/// Fields, and memory for the count of their handles.
struct KeptFields : detail::KeptObject {
  Fields fields;
  alignas(std::max_align_t) std::array<std::byte, 64> count{};

  KeptFields() {
    destroy = [](KeptObject* object) noexcept { delete static_cast<KeptFields*>(object); };
  }
};

struct Keeps {
  void operator()(KeptFields* kept) const noexcept { keep_object(kept); }
};

/// When the last handle ends: what the fields own ends with it.
struct Ends {
  void operator()(Fields* fields) const noexcept {
    fields->storage.reset();
    fields->memory.reset();
    fields->distribution.reset();
  }
};

/// Gives out the memory for the count, and keeps the fields when that is free again.
template <class T>
struct CountAllocator {
  using value_type = T;

  explicit CountAllocator(KeptFields* place) noexcept : kept(place) {}
  template <class U>
  explicit CountAllocator(const CountAllocator<U>& other) noexcept : kept(other.kept) {}

  T* allocate(std::size_t /*one*/) noexcept {
    static_assert(sizeof(T) <= sizeof(KeptFields::count) &&
                  alignof(T) <= alignof(std::max_align_t));
    return reinterpret_cast<T*>(kept->count.data());
  }
  void deallocate(T* /*memory*/, std::size_t /*one*/) noexcept { keep_object(kept); }

  template <class U>
  bool operator==(const CountAllocator<U>& other) const noexcept {
    return kept == other.kept;
  }

  KeptFields* kept;
};

std::unique_ptr<KeptFields, Keeps> take_fields() {
  auto* const kept = static_cast<KeptFields*>(detail::take_object());
  return std::unique_ptr<KeptFields, Keeps>(kept != nullptr ? kept : new KeptFields);
}

}  // namespace

std::shared_ptr<Tensor::Impl> Tensor::Impl::fresh(const Shape& extents, bool channels_last) {
  auto kept = take_fields();
  Impl& fields = kept->fields;
  fields.shape.assign(extents.begin(), extents.end());
  fields.strides.resize(extents.size());
  detail::fill_dense_strides(fields.strides, extents, channels_last);
  fields.replaced = 0;
  fields.device = Device::cpu();
  KeptFields* const place = kept.release();
  return {&place->fields, Ends(), CountAllocator<Impl>(place)};
}

}  // namespace halnorm::HALNORM_ABI
