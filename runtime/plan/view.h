#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "device/memory.h"
#include "halnorm/dtype.h"
#include "kernels/call.h"
#include "kernels/table.h"

/// @file
/// Non-owning views of data and of per-channel values, as the kernels see them, and their parts.

namespace halnorm::HALNORM_ABI::detail {

inline constexpr std::int64_t line_bytes = 64;  ///< of a cache

/// The largest number and offset of elements for a kernel's 32-bit indices. Kernels that store
/// whole cache lines count to the end of the last line, beyond the last element.
inline constexpr std::int64_t max_kernel_offset =
    std::numeric_limits<std::int32_t>::max() - line_bytes;

/// A part of a data tensor: ranges of each axis.
struct Box {
  std::int64_t first_n, n, first_c, c, first_l, l;
};

/// A view of a data tensor: (n, c, l) with L innermost or, in NLC, rows n of C values with L = 1.
/// Rows without a constant distance are N items of L rows each, and a kernel processes one item.
/// The innermost stride is 1. Extents and strides have 64 bits.
struct View {
  std::byte* data;
  DType dtype;
  Layout layout;
  std::int64_t N, C, L;
  std::int64_t stride_n, stride_c;
  const DeviceMemory* memory = nullptr;  ///< null for the host
  std::int64_t stride_l = 1;             ///< of the rows in items
  /// If not 0, every element is 0: `data` points to so many zeros, and the strides of rows are 0.
  std::int64_t zeros = 0;

  [[nodiscard]] bool in_items() const noexcept { return layout == Layout::nlc && L > 1; }
  [[nodiscard]] std::int64_t numel() const noexcept { return N * C * L; }
  [[nodiscard]] std::int64_t bytes() const noexcept;
  /// Values per channel.
  [[nodiscard]] double count() const noexcept;
  /// Whether one kernel can take it: Halide's 32-bit indices reach every element.
  [[nodiscard]] bool fits_kernel() const noexcept;
  /// Whether the channels of each row follow each other without a gap.
  [[nodiscard]] bool planes_are_dense() const noexcept;
  /// Whether all elements follow each other without a gap.
  [[nodiscard]] bool is_dense() const noexcept;

  [[nodiscard]] View part(const Box& box) const noexcept;
  [[nodiscard]] View rows(std::int64_t first, std::int64_t count) const noexcept;
  [[nodiscard]] KernelBuffer buffer() const;  ///< the view fits_kernel()
};

/// One value per channel; with a stride of 0, one value for all channels.
struct Channels {
  void* data;
  DType dtype;
  std::int64_t count;
  std::int64_t stride;
  const DeviceMemory* memory = nullptr;  ///< null for the host

  [[nodiscard]] Channels part(std::int64_t first, std::int64_t length) const noexcept;
  [[nodiscard]] KernelBuffer buffer() const {
    return {data, dtype, {{count, count == 1 && stride != 0 ? 1 : stride}}, memory};
  }
  [[nodiscard]] double at(std::int64_t channel) const noexcept;  ///< Float32 or Float64
  /// The values of Float64 statistics, which are dense.
  [[nodiscard]] double* doubles() const noexcept { return static_cast<double*>(data); }
};

/// The data of an operation: x is first, the output last. All views have one shape and layout.
class Views {
 public:
  Views(std::initializer_list<View> views) noexcept : size_(views.size()) {
    std::copy(views.begin(), views.end(), views_.begin());
  }

  [[nodiscard]] const View& x() const noexcept { return views_[0]; }
  [[nodiscard]] const View& out() const noexcept { return views_[size_ - 1]; }
  [[nodiscard]] const View* begin() const noexcept { return views_.data(); }
  [[nodiscard]] const View* end() const noexcept { return views_.data() + size_; }

  /// All but the output.
  [[nodiscard]] Views inputs() const noexcept {
    Views read(*this);
    --read.size_;
    return read;
  }

  [[nodiscard]] std::int64_t bytes() const noexcept;
  [[nodiscard]] bool fit_kernel() const noexcept;  ///< each fits_kernel()
  [[nodiscard]] Views part(const Box& box) const noexcept;

  /// change(view) of each.
  template <class Change>
  [[nodiscard]] Views each(Change change) const {
    Views changed;
    changed.size_ = size_;
    std::transform(begin(), end(), changed.views_.begin(), change);
    return changed;
  }

 private:
  Views() noexcept {}  // NOLINT(modernize-use-equals-default): which would clear the views

  std::array<View, 3> views_;
  std::size_t size_ = 0;
};

/// The elements of equally shaped views in boxes, in memory order; those at the ends of an axis may
/// be smaller.
class Boxes {
 public:
  Boxes() = default;  ///< uninitialized

  /// Boxes of at most `elements`: whole rows if one fits, otherwise channels of one row, otherwise
  /// parts of one channel's row.
  Boxes(const View& shape, std::int64_t elements);

  /// Boxes of so many channels.
  static Boxes of_channels(const View& shape, std::int64_t channels) noexcept;

  [[nodiscard]] std::int64_t size() const noexcept { return along_n_ * along_c_ * along_l_; }
  [[nodiscard]] Box operator[](std::int64_t i) const noexcept;

 private:
  Boxes(const View& shape, const Box& full) noexcept;

  std::int64_t N_, C_, L_;
  std::int64_t n_, c_, l_;                    ///< a full box's extents
  std::int64_t along_n_, along_c_, along_l_;  ///< boxes along each axis
};

/// The boxes of data that is too large for one kernel: in every view, the offsets within a box fit
/// in a kernel's indices.
Boxes kernel_boxes(const Views& data);

}  // namespace halnorm::HALNORM_ABI::detail
