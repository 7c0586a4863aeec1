#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "halnorm/tensor.h"
#include "kernels/call.h"
#include "plan/view.h"
#include "tensor/impl.h"

/// @file
/// How the kernels see a tensor: as (n, c, l) with L innermost (NCL), or as rows of C values (NLC).

namespace halnorm::detail {

/// N, C and L of a data tensor: L is the product of all axes after the second.
struct Extents {
  std::int64_t N, C, L;
  [[nodiscard]] std::int64_t count() const noexcept { return N * L; }  ///< M
  [[nodiscard]] std::int64_t numel() const noexcept { return N * C * L; }
};
Extents extents_of(const Tensor& x);

/// Strides of a data tensor in elements; `merged` tells whether the axes after the second are one.
struct Strides3 {
  std::int64_t n, c, l;
  bool merged;
};
Strides3 strides_of(const Tensor& x);

/// Whether one kernel of this layout can read or write the tensor where it lies.
bool is_usable_in_place(const Tensor& x, Layout layout);

/// Whether kernels can, one for each item of the batch: rows of C values at one distance within an
/// item, and enough of them to be worth a kernel.
bool is_usable_in_items(const Tensor& x, Layout layout);

/// The layout in which x can be used in place; if there is none, the one that has the order of its
/// axes, in which it is copied and in which new tensors like it are made.
Layout layout_of(const Tensor& x);

/// The same where nothing is added up. On a device few rows of many channels are better walked
/// along the channels than by blocks of a few of these: as NCL, with rows of one value.
Layout elementwise_layout_of(const Tensor& x);

/// x itself, or a dense copy in the given layout if no kernel of that layout can use x in place.
Tensor in_layout(const Tensor& x, Layout layout);

/// The same for an operation that takes items one by one.
Tensor in_layout_or_items(const Tensor& x, Layout layout);

/// A new dense tensor of x's shape, stored in the given layout; of x's dtype, or another.
Tensor empty_in_layout(const Tensor& x, Layout layout);
Tensor empty_in_layout(const Tensor& x, Layout layout, DType dtype);

/// A tensor for which is_usable_in_place() is true, as kernels see it.
View view_of(const Tensor& x, Layout layout);

/// The data tensors of an operation, of one shape, as kernels see them: if one of them is
/// usable only in items, then all of them in items.
class ViewOf {
 public:
  ViewOf(Layout layout, std::initializer_list<const Tensor*> tensors);
  [[nodiscard]] View operator()(const Tensor& x) const;

 private:
  Layout layout_;
  bool in_items_;
};

/// One value per channel.
inline Channels channels_of(const Tensor& values) {
  const auto& fields = TensorAccess::of(values);
  return {fields.data, fields.dtype, fields.shape[0], fields.strides[0], fields.memory.get()};
}

/// One value per channel; without a tensor, a weight of 1 or a bias of 0 for all channels, of the
/// type and on the device that go with the data.
Channels weight_channels(const Tensor& weight, std::int64_t channels, const Tensor& data);
Channels bias_channels(const Tensor& bias, std::int64_t channels, const Tensor& data);

}  // namespace halnorm::detail
