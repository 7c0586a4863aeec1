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

/// How kernels of a layout can read or write a tensor in place: one kernel all of it, or one kernel
/// each item of the batch. In an item of NLC the rows of C values have a constant distance, and an
/// item is large enough for a kernel.
enum class InPlace : std::uint8_t { no, as_one, in_items };
InPlace in_place(const Tensor& x, Layout layout);

/// The tensor as kernels see it, if it is used in place.
View view_of(const Tensor& x, Layout layout, bool in_items);

/// The layout in which x can be used in place. If there is none, the layout with the order of x's
/// axes: x is copied to this layout, and new tensors like x have it.
Layout layout_of(const Tensor& x);

/// The same for operations without sums. On a device, few rows of many channels are faster as NCL
/// with rows of one value: neighbouring threads then have neighbouring channels.
Layout elementwise_layout_of(const Tensor& x);

/// A new dense tensor of x's shape, stored in the given layout; of x's dtype, or another.
Tensor empty_in_layout(const Tensor& x, Layout layout);
Tensor empty_in_layout(const Tensor& x, Layout layout, DType dtype);

/// The data tensors of a call, of one shape, as kernels of one layout see them: the inputs, and the
/// output if there is one. If one of them is usable only in items, all are in items.
class DataOperands {
 public:
  /// An input that kernels cannot read in place is copied. A null pointer is left out.
  DataOperands(Layout layout, std::initializer_list<const Tensor*> inputs);
  /// The output is `out`, if it is defined and kernels can write it in place, otherwise a new
  /// tensor like the first input.
  DataOperands(Layout layout, std::initializer_list<const Tensor*> inputs, const Tensor& out);

  [[nodiscard]] View input(std::size_t i) const { return view_of(inputs_[i], layout_, in_items_); }
  [[nodiscard]] View output() const { return view_of(output_, layout_, in_items_); }

  /// The result of the call, to be called after the kernels.
  [[nodiscard]] Tensor finish();

 private:
  /// Whether kernels can use the tensor; one in items is noted.
  bool is_usable(const Tensor& x);

  Layout layout_;
  bool in_items_ = false;
  std::array<Tensor, 2> inputs_;
  Tensor output_, wanted_;
};

/// The result of a call on an empty batch: `out`, or a new tensor of x's shape.
inline Tensor empty_result(const Tensor& x, const Tensor& out) {
  return out.defined() ? out : empty_in_layout(x, Layout::ncl);
}

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
