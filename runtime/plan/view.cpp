#include "plan/view.h"

#include <algorithm>
#include <cstdlib>

#include "device/memory.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// A kernel gets at most so many elements, half of what its indices can count.
constexpr std::int64_t kernel_elements = std::int64_t{1} << 30;

std::int64_t div_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The offset of the last element along an axis; more than max_kernel_offset if that overflows.
std::int64_t reach(std::int64_t extent, std::int64_t stride) {
  const std::int64_t step = std::abs(stride);
  return extent <= 1 || step == 0                  ? 0
         : step > max_kernel_offset / (extent - 1) ? max_kernel_offset + 1
                                                   : step * (extent - 1);
}

std::byte* offset(std::byte* data, std::int64_t elements, DType dtype) {
  return data + elements * static_cast<std::int64_t>(size_of(dtype));
}

/// The largest box of at most so many elements: whole rows, else channels of one, else a part of a
/// channel's. In items: rows of one item, else channels of one row.
Box full_box(const View& v, std::int64_t elements) noexcept {
  const std::int64_t plane = v.C * v.L;
  if (v.in_items()) {
    return {0, 1, 0, std::min(v.C, elements), 0, std::clamp(elements / v.C, std::int64_t{1}, v.L)};
  }
  if (plane <= elements) {
    return {0, std::min(elements / plane, v.N), 0, v.C, 0, v.L};
  }
  if (v.layout == Layout::nlc || v.L <= elements) {
    return {0, 1, 0, std::max<std::int64_t>(elements / v.L, 1), 0, v.L};
  }
  return {0, 1, 0, 1, 0, elements};
}

}  // namespace

std::int64_t View::bytes() const noexcept {
  return zeros != 0 ? 0 : numel() * static_cast<std::int64_t>(size_of(dtype));
}

double View::count() const noexcept { return static_cast<double>(N) * static_cast<double>(L); }

bool View::fits_kernel() const noexcept {
  return !in_items() && numel() <= max_kernel_offset &&
         reach(N, stride_n) + reach(C, stride_c) + reach(L, 1) <= max_kernel_offset;
}

bool View::planes_are_dense() const noexcept { return !in_items() && (C == 1 || stride_c == L); }

bool View::is_dense() const noexcept { return planes_are_dense() && (N == 1 || stride_n == C * L); }

View View::part(const Box& b) const noexcept {
  View v = *this;
  v.data = offset(data, b.first_n * stride_n + b.first_c * stride_c + b.first_l * stride_l, dtype);
  v.N = b.n;
  v.C = b.c;
  v.L = b.l;
  if (in_items() && b.n == 1) {
    v.N = b.l;
    v.L = 1;
    v.stride_n = stride_l;
  }
  return v;
}

View View::rows(std::int64_t first, std::int64_t count) const noexcept {
  return part({first, count, 0, C, 0, L});
}

KernelBuffer View::buffer() const {
  const auto stride = [](std::int64_t extent, std::int64_t step) { return extent == 1 ? 0 : step; };
  if (layout == Layout::ncl) {
    return {data, dtype, {{L, 1}, {C, stride(C, stride_c)}, {N, stride(N, stride_n)}}, memory};
  }
  return {data, dtype, {{C, 1}, {N, stride(N, stride_n)}}, memory};
}

std::int64_t Views::bytes() const noexcept {
  std::int64_t all = 0;
  for (const View& v : *this) {
    all += v.bytes();
  }
  return all;
}

bool Views::fit_kernel() const noexcept {
  return std::all_of(begin(), end(), [](const View& v) { return v.fits_kernel(); });
}

Views Views::part(const Box& box) const noexcept {
  return each([&](const View& v) { return v.part(box); });
}

Channels Channels::part(std::int64_t first, std::int64_t length) const noexcept {
  Channels p = *this;
  p.data = offset(static_cast<std::byte*>(data), first * stride, dtype);
  p.count = length;
  return p;
}

double Channels::at(std::int64_t channel) const noexcept {
  return dtype == DType::Float64 ? static_cast<const double*>(data)[channel * stride]
                                 : double{static_cast<const float*>(data)[channel * stride]};
}

Boxes::Boxes(const View& v, const Box& full) noexcept
    : N_(v.N),
      C_(v.C),
      L_(v.L),
      n_(full.n),
      c_(full.c),
      l_(full.l),
      along_n_(div_up(N_, n_)),
      along_c_(div_up(C_, c_)),
      along_l_(div_up(L_, l_)) {}

Boxes::Boxes(const View& v, std::int64_t elements) : Boxes(v, full_box(v, elements)) {}

Box Boxes::operator[](std::int64_t i) const noexcept {
  const std::int64_t first_l = i % along_l_ * l_;
  const std::int64_t first_c = i / along_l_ % along_c_ * c_;
  const std::int64_t first_n = i / along_l_ / along_c_ * n_;
  return {first_n, std::min(n_, N_ - first_n), first_c, std::min(c_, C_ - first_c),
          first_l, std::min(l_, L_ - first_l)};
}

Boxes Boxes::of_channels(const View& v, std::int64_t channels) noexcept {
  return {v, {0, v.N, 0, std::min(channels, v.C), 0, v.L}};
}

Boxes kernel_boxes(const Views& data) {
  std::int64_t elements = kernel_elements;
  while (elements > 1) {
    const Boxes boxes(data.x(), elements);
    if (data.part(boxes[0]).fit_kernel()) {
      return boxes;
    }
    elements /= 2;
  }
  return {data.x(), 1};
}

}  // namespace halnorm::HALNORM_ABI::detail
