#include "data_view.h"

#include "halnorm/error.h"

namespace halnorm::detail {

namespace {

/// An axis with one element may have any stride.
bool steps_by_one(std::int64_t extent, std::int64_t stride) { return extent == 1 || stride == 1; }

/// Whether (n, l) can be walked as one axis of N * L rows.
bool rows_merge(const Extents& e, const Strides3& s) {
  return e.L == 1 || e.N == 1 || s.n == s.l * e.L;
}

/// The values, or one value that every channel reads through a stride of 0.
KernelBuffer channels_or(const Tensor& values, std::int64_t channels, Element data, float* for32,
                         double* for64) {
  if (values.defined()) {
    return {values.raw_data(), values.dtype(), {{channels, values.strides()[0]}}};
  }
  const bool wide = data == find_element(DType::Float64);
  const DType dtype = wide ? DType::Float64 : DType::Float32;
  void* standin = wide ? static_cast<void*>(for64) : static_cast<void*>(for32);
  return {standin, dtype, {{channels, 0}}};
}

}  // namespace

Extents extents_of(const Tensor& x) {
  const Shape& shape = x.shape();
  std::int64_t inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) {
    inner *= shape[axis];
  }
  return {shape[0], shape[1], inner};
}

Strides3 strides_of(const Tensor& x) {
  const Shape& shape = x.shape();
  const auto& strides = x.strides();
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

bool fits(const Tensor& x, Layout layout) {
  const Extents e = extents_of(x);
  const Strides3 s = strides_of(x);
  if (!s.merged) {
    return false;
  }
  return layout == Layout::ncl ? steps_by_one(e.L, s.l)
                               : steps_by_one(e.C, s.c) && rows_merge(e, s);
}

Layout layout_of(const Tensor& x) {
  // Without an L axis the channels are innermost, whatever their stride says.
  if (x.dim() == 2 || extents_of(x).L == 1) {
    return Layout::nlc;
  }
  return !fits(x, Layout::ncl) && fits(x, Layout::nlc) ? Layout::nlc : Layout::ncl;
}

Tensor empty_in_layout(const Tensor& x, Layout layout) {
  return empty_in_layout(x, layout, x.dtype());
}

Tensor empty_in_layout(const Tensor& x, Layout layout, DType dtype) {
  const Shape& shape = x.shape();
  if (layout == Layout::ncl || shape.size() == 2) {
    return Tensor::empty(shape, dtype, x.device());
  }
  Shape stored{shape[0]};
  stored.insert(stored.end(), shape.begin() + 2, shape.end());
  stored.push_back(shape[1]);
  Tensor y = Tensor::empty(stored, dtype, x.device());
  for (auto axis = static_cast<std::int64_t>(shape.size()) - 1; axis > 1; --axis) {
    y = y.transpose(axis - 1, axis);
  }
  return y;
}

Tensor in_layout(const Tensor& x, Layout layout) {
  if (fits(x, layout)) {
    return x;
  }
  Tensor dense = empty_in_layout(x, layout);
  dense.copy_(x);
  return dense;
}

KernelBuffer kernel_buffer(const Tensor& x, Layout layout) {
  const Extents e = extents_of(x);
  const Strides3 s = strides_of(x);
  if (layout == Layout::ncl) {
    return {x.raw_data(), x.dtype(), {{e.L, 1}, {e.C, s.c}, {e.N, s.n}}};
  }
  const std::int64_t row = e.L == 1 ? s.n : s.l;
  return {x.raw_data(), x.dtype(), {{e.C, 1}, {e.N * e.L, row}}};
}

KernelBuffer channel_buffer(const Tensor& values) {
  const std::int64_t channels = values.shape()[0];
  const std::int64_t stride = channels == 1 ? 1 : values.strides()[0];
  return {values.raw_data(), values.dtype(), {{channels, stride}}};
}

KernelBuffer weight_buffer(const Tensor& weight, std::int64_t channels, Element data) {
  static float one32 = 1;
  static double one64 = 1;
  return channels_or(weight, channels, data, &one32, &one64);
}

KernelBuffer bias_buffer(const Tensor& bias, std::int64_t channels, Element data) {
  static float zero32 = 0;
  static double zero64 = 0;
  return channels_or(bias, channels, data, &zero32, &zero64);
}

}  // namespace halnorm::detail
