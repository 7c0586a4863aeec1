#include "plan/view.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "device/memory.h"

namespace halnorm::detail {

namespace {

/// Elements that a kernel is given at most: half of what its indices count.
constexpr std::int64_t kernel_elements = std::int64_t{1} << 30;

/// Elements that a CPU takes in one loop: what one task of a larger kernel has at least.
constexpr std::int64_t small_elements = 16384;

// Its rows are added up in one block, eight at a time.
constexpr std::int64_t small_rows = 512;

// It comes back to every row for each vector of channels, and so to most lines of the caches if
// vectors are shorter. With AVX2 training took 0.6 of the time on 16 KB, 0.8 to 0.95 on 32 KB and
// 1.2 to 1.5 times as long on 64 KB, which AVX-512 did in 0.8 to 0.9 (an Intel Xeon).
constexpr std::int64_t small_bytes_in_lines = 65536;
constexpr std::int64_t small_bytes_in_parts = 24576;

// A first-level cache of 48 KB: 64 sets of 12 lines. And rows that cost nothing even where they
// share one set: training on (32, 512) took 0.66 of the time, on (256, 64) 1.29 of it.
constexpr std::int64_t sets = 64, lines_of_set = 12;
constexpr std::int64_t few_rows = 32;

// Values of a channel whose sums are double: a mean of more is seldom small against its error.
constexpr double few_values = 256;

std::int64_t div_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Elements between the first and the last one along an axis; far away if that overflows.
std::int64_t reach(std::int64_t extent, std::int64_t stride) {
  const std::int64_t step = std::abs(stride);
  return extent <= 1 || step == 0         ? 0
         : step > farthest / (extent - 1) ? farthest + 1
                                          : step * (extent - 1);
}

std::byte* offset(std::byte* data, std::int64_t elements, DType dtype) {
  return data + elements * static_cast<std::int64_t>(size_of(dtype));
}

/// Whether the lines that a walk down the rows of `tensors` meets stay in a first-level cache:
/// those a power of two apart share its sets.
bool walk_fits(const View& x, std::int64_t tensors) noexcept {
  if (x.N <= few_rows) {
    return true;
  }
  const std::int64_t row = std::abs(x.stride_n) * static_cast<std::int64_t>(size_of(x.dtype));
  const std::int64_t pitch = std::max<std::int64_t>((row + line_bytes / 2) / line_bytes, 1);
  const std::int64_t walked = row < line_bytes ? x.N * row / line_bytes : x.N;
  return walked * tensors <= sets / std::gcd(pitch, sets) * lines_of_set;
}

bool is_small(const View& x, const Kernel& small) noexcept {
  if (x.memory == nullptr) {
    const bool backward = small.operation == Operation::batch_norm_backward_small;
    const bool in_lines = small.vector_bytes == line_bytes;
    return x.N <= small_rows && x.C <= small_elements && x.N * x.C <= small_elements &&
           x.bytes() <= (in_lines ? small_bytes_in_lines : small_bytes_in_parts) &&
           walk_fits(x, backward ? 2 : 1);
  }
  // From about there on the one block of threads that has a channel is slower than all of them in
  // two launches, or was, in three: in NCL measured on an H100 with the kernels before these, in
  // NLC simulated. There a block has several channels, more of narrow data. See
  // docs/performance.md.
  const std::int64_t values =
      x.layout == Layout::ncl ? 32768 : 384 * static_cast<std::int64_t>(size_of(x.dtype));
  return x.N <= values && x.L <= values && x.N * x.L <= values;
}

}  // namespace

std::int64_t View::bytes() const noexcept {
  return numel() * static_cast<std::int64_t>(size_of(dtype));
}

double View::count() const noexcept { return static_cast<double>(N) * static_cast<double>(L); }

bool View::fits_kernel() const noexcept {
  return numel() <= farthest && reach(N, stride_n) + reach(C, stride_c) + reach(L, 1) <= farthest;
}

bool View::planes_are_dense() const noexcept { return C == 1 || stride_c == L; }

bool View::is_dense() const noexcept { return planes_are_dense() && (N == 1 || stride_n == C * L); }

View View::part(const Box& b) const noexcept {
  View v = *this;
  v.data = offset(data, b.first_n * stride_n + b.first_c * stride_c + b.first_l, dtype);
  v.N = b.n;
  v.C = b.c;
  v.L = b.l;
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

bool sums_in_double(const View& x) noexcept {
  return x.dtype == DType::Float32 && x.memory == nullptr && x.count() <= few_values;
}

const Kernel& kernel_for(const Rows& operation, const View& x) {
  const DeviceType where = x.memory == nullptr ? DeviceType::CPU : x.memory->device().type;
  const Element element = element_of(x.dtype);
  const auto& [small_form, exact_form, stream_form] = operation.variants;
  const Kernel* small =
      small_form == nullptr ? nullptr : find_kernel(*small_form, x.layout, element, where);
  const bool takes_small = small != nullptr && is_small(x, *small);
  const bool takes_exact = !takes_small && exact_form != nullptr && sums_in_double(x);
  return select_kernel(takes_small   ? *small_form
                       : takes_exact ? *exact_form
                                     : operation,
                       x.layout, element, where);
}

Boxes::Boxes(const View& v, std::int64_t elements) : N_(v.N), C_(v.C), L_(v.L), l_(v.L) {
  const std::int64_t plane = v.C * v.L;
  if (plane <= elements) {
    c_ = v.C;
    n_ = std::min(elements / plane, v.N);
  } else if (v.layout == Layout::nlc || v.L <= elements) {
    c_ = std::max<std::int64_t>(elements / v.L, 1);
  } else {
    l_ = elements;
  }
  along_n_ = div_up(N_, n_);
  along_c_ = div_up(C_, c_);
  along_l_ = div_up(L_, l_);
}

Box Boxes::operator[](std::int64_t i) const noexcept {
  const std::int64_t first_l = i % along_l_ * l_;
  const std::int64_t first_c = i / along_l_ % along_c_ * c_;
  const std::int64_t first_n = i / along_l_ / along_c_ * n_;
  return {first_n, std::min(n_, N_ - first_n), first_c, std::min(c_, C_ - first_c),
          first_l, std::min(l_, L_ - first_l)};
}

Boxes kernel_boxes(const View& x, const View& y) {
  std::int64_t elements = kernel_elements;
  while (elements > 1) {
    const Boxes boxes(x, elements);
    if (x.part(boxes[0]).fits_kernel() && y.part(boxes[0]).fits_kernel()) {
      return boxes;
    }
    elements /= 2;
  }
  return {x, 1};
}

}  // namespace halnorm::detail
