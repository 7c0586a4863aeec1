#include "functional/arguments/data_view.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tensor/constants.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Strides of a data tensor in elements; `merged` tells whether the axes after the second are one.
struct Strides3 {
  std::int64_t n, c, l;
  bool merged;
};

Strides3 strides_of(const Tensor& x) {
  const Shape& shape = TensorAccess::of(x).shape;
  const auto& strides = TensorAccess::of(x).strides;
  Strides3 s{strides[0], strides[1], 1, true};
  std::int64_t run = 1;  // elements in the axes seen so far, innermost first
  for (std::size_t axis = shape.size(); axis-- > 2;) {
    if (shape[axis] == 1) {
      continue;
    }
    if (run == 1) {
      s.l = strides[axis];
    } else if (strides[axis] != s.l * run) {
      s.merged = false;
    }
    run *= shape[axis];
  }
  return s;
}

/// An axis with one element may have any stride.
bool steps_by_one(std::int64_t extent, std::int64_t stride) { return extent == 1 || stride == 1; }

/// Whether (n, l) is one axis of N * L rows at a constant distance.
bool rows_merge(const Extents& e, const Strides3& s) {
  return e.L == 1 || e.N == 1 || s.n == s.l * e.L;
}

/// Whether the stride of the channel axis is smaller than that of any later axis. An axis of stride
/// 0 does not count.
bool channels_are_innermost(const Tensor& x) {
  const Shape& shape = TensorAccess::of(x).shape;
  const Strides& strides = TensorAccess::of(x).strides;
  const std::int64_t step = std::abs(strides[1]);
  bool innermost = shape[1] > 1 && step > 0;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) {
    innermost =
        innermost && (shape[axis] == 1 || strides[axis] == 0 || step < std::abs(strides[axis]));
  }
  return innermost;
}

/// Whether x is one channel on a device, viewed as one row of N values. Then neighbouring threads
/// have neighbouring values; with rows of one value most threads would have none.
bool is_column(const Tensor& x, const Extents& e) {
  return e.C == 1 && e.L == 1 && memory_of(x) != nullptr;
}

Tensor dense_copy(const Tensor& x, Layout layout) {
  Tensor dense = empty_in_layout(x, layout);
  dense.copy_(x);
  return dense;
}

/// The values, or one value that every channel reads through a stride of 0.
Channels channels_or(const Tensor& values, std::int64_t channels, const Tensor& data, float& for32,
                     double& for64) {
  if (values.defined()) {
    return channels_of(values);
  }
  const DType dtype = parameter_dtype(data.dtype());
  if (data.device() != Device::cpu()) {
    return channels_of(constant(for64, channels, dtype, data.device()));
  }
  void* standin = dtype == DType::Float64 ? static_cast<void*>(&for64) : static_cast<void*>(&for32);
  return {standin, dtype, channels, 0};
}

}  // namespace

Extents extents_of(const Tensor& x) {
  const Shape& shape = TensorAccess::of(x).shape;
  std::int64_t inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) {
    inner *= shape[axis];
  }
  return {shape[0], shape[1], inner};
}

InPlace in_place(const Tensor& x, Layout layout) {
  constexpr std::int64_t enough_bytes = 65536;
  const DeviceMemory* memory = memory_of(x);
  const Strides3 s = strides_of(x);
  if ((memory != nullptr && !memory->can_start_at(TensorAccess::of(x).data)) || !s.merged) {
    return InPlace::no;
  }
  const Extents e = extents_of(x);
  if (layout == Layout::ncl) {
    // Rows of one value: check_data() assumes the same innermost axis.
    const bool dense = is_column(x, e) ? steps_by_one(e.N, s.n)
                       : e.L == 1      ? steps_by_one(e.C, s.c)
                                       : steps_by_one(e.L, s.l);
    return dense ? InPlace::as_one : InPlace::no;
  }
  if (!steps_by_one(e.C, s.c)) {
    return InPlace::no;
  }
  if (rows_merge(e, s)) {
    return InPlace::as_one;
  }
  const bool has_items = memory == nullptr && s.l >= e.C &&
                         e.C * e.L * static_cast<std::int64_t>(size_of(x.dtype())) >= enough_bytes;
  return has_items ? InPlace::in_items : InPlace::no;
}

Layout layout_of(const Tensor& x) {
  const Extents e = extents_of(x);
  // Without an L axis the channels are innermost for any stride.
  if (e.L == 1 && !is_column(x, e)) {
    return Layout::nlc;
  }
  const bool channels_inside =
      in_place(x, Layout::ncl) != InPlace::as_one &&
      (in_place(x, Layout::nlc) == InPlace::as_one || channels_are_innermost(x));
  return channels_inside ? Layout::nlc : Layout::ncl;
}

Layout elementwise_layout_of(const Tensor& x) {
  // A block of threads has 128 rows, and 4096 channels make 512 blocks, as many as a device runs at
  // once. A simulated H100 took 32 us for (8, 65536) as NLC, and 3 us as NCL.
  constexpr std::int64_t few_rows = 128, many_channels = 4096;
  const Extents e = extents_of(x);
  const bool along_channels =
      memory_of(x) != nullptr && e.L == 1 && e.N < few_rows && e.C >= many_channels;
  return along_channels ? Layout::ncl : layout_of(x);
}

Tensor empty_in_layout(const Tensor& x, Layout layout) {
  return empty_in_layout(x, layout, x.dtype());
}

Tensor empty_in_layout(const Tensor& x, Layout layout, DType dtype) {
  const auto& fields = TensorAccess::of(x);
  const bool channels_last = layout != Layout::ncl && fields.shape.size() > 2;
  return TensorAccess::make("Tensor::empty", fields.shape, dtype, fields.device, channels_last);
}

View view_of(const Tensor& x, Layout layout, bool in_items) {
  const Extents e = extents_of(x);
  const Strides3 s = strides_of(x);
  const auto& fields = TensorAccess::of(x);
  const DeviceMemory* memory = memory_of(x);
  auto* data = static_cast<std::byte*>(fields.data);
  if (layout == Layout::ncl) {
    return is_column(x, e) ? View{data, fields.dtype, layout, 1, 1, e.N, e.N, e.N, memory}
                           : View{data, fields.dtype, layout, e.N, e.C, e.L, s.n, s.c, memory};
  }
  return in_items
             ? View{data, fields.dtype, layout, e.N, e.C, e.L, s.n, 1, memory, s.l}
             : View{data, fields.dtype, layout, e.N * e.L, e.C, 1, e.L == 1 ? s.n : s.l, 1, memory};
}

bool DataOperands::is_usable(const Tensor& x) {
  const InPlace use = in_place(x, layout_);
  in_items_ = in_items_ || use == InPlace::in_items;
  return use != InPlace::no;
}

DataOperands::DataOperands(Layout layout, std::initializer_list<const Tensor*> inputs)
    : layout_(layout) {
  std::size_t count = 0;
  for (const Tensor* x : inputs) {
    if (x != nullptr) {
      inputs_[count++] = is_usable(*x) ? *x : dense_copy(*x, layout);
    }
  }
}

DataOperands::DataOperands(Layout layout, std::initializer_list<const Tensor*> inputs,
                           const Tensor& out)
    : DataOperands(layout, inputs) {
  wanted_ = out;
  output_ = out.defined() && is_usable(out) ? out : empty_in_layout(**inputs.begin(), layout);
  count_write(output_);
}

Tensor DataOperands::finish() {
  if (!wanted_.defined() || wanted_.is_same(output_)) {
    return std::move(output_);
  }
  wanted_.copy_(output_);
  return wanted_;
}

Channels weight_channels(const Tensor& weight, std::int64_t channels, const Tensor& data) {
  static float one32 = 1;
  static double one64 = 1;
  return channels_or(weight, channels, data, one32, one64);
}

Channels bias_channels(const Tensor& bias, std::int64_t channels, const Tensor& data) {
  static float zero32 = 0;
  static double zero64 = 0;
  return channels_or(bias, channels, data, zero32, zero64);
}

}  // namespace halnorm::HALNORM_ABI::detail
