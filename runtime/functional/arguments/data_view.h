#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "halnorm/tensor.h"
#include "kernels/call.h"
#include "plan/view.h"
#include "tensor/impl.h"

/// @file
/// Kernels see a tensor as (n, c, l) with L innermost (NCL), or as rows of C values (NLC).

namespace halnorm::HALNORM_ABI::detail {

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

/// Whether one kernel of this layout can read or write the tensor in place.
bool is_usable_in_place(const Tensor& x, Layout layout);

/// Whether kernels can read or write the tensor in place, one for each item of the batch. The rows
/// of C values have a constant distance within an item, and an item is large enough for a kernel.
bool is_usable_in_items(const Tensor& x, Layout layout);

/// The layout in which x can be used in place. If there is none, the layout with the order of x's
/// axes: x is copied to this layout, and new tensors like x have it.
Layout layout_of(const Tensor& x);

/// The same for operations without sums. On a device, few rows of many channels are faster as NCL
/// with rows of one value: neighbouring threads then have neighbouring channels.
Layout elementwise_layout_of(const Tensor& x);

/// x itself, or a dense copy in the given layout if no kernel of that layout can use x in place.
Tensor in_layout(const Tensor& x, Layout layout);

/// The same for an operation that processes items one by one.
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

/// One value per channel. An undefined weight means 1 for all channels, an undefined bias 0, in the
/// parameters' dtype and on the data's device.
Channels weight_channels(const Tensor& weight, std::int64_t channels, const Tensor& data);
Channels bias_channels(const Tensor& bias, std::int64_t channels, const Tensor& data);

}  // namespace halnorm::HALNORM_ABI::detail
