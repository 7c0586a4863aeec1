#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "device/memory.h"
#include "halnorm/dtype.h"
#include "kernels/call.h"
#include "kernels/table.h"

/// @file
/// Data and per-channel values as the kernels see them, and parts of them, without an owner.

namespace halnorm::detail {

inline constexpr std::int64_t line_bytes = 64;  ///< of a cache

/// Elements, and how far they lie apart, that a kernel's 32-bit indices reach: kernels that store
/// whole cache lines count to the end of the last one, beyond the last element.
inline constexpr std::int64_t farthest = std::numeric_limits<std::int32_t>::max() - line_bytes;

/// A part of a data tensor: ranges of each axis.
struct Box {
  std::int64_t first_n, n, first_c, c, first_l, l;
};

/// Where the elements of a data tensor lie: (n, c, l) with L innermost, or, in NLC, rows n of C
/// values, with L = 1. The innermost axis steps by one. 64 bits throughout.
struct View {
  std::byte* data;
  DType dtype;
  Layout layout;
  std::int64_t N, C, L;
  std::int64_t stride_n, stride_c;
  const DeviceMemory* memory = nullptr;  ///< null for the host

  [[nodiscard]] std::int64_t numel() const noexcept { return N * C * L; }
  [[nodiscard]] std::int64_t bytes() const noexcept;
  /// Values per channel.
  [[nodiscard]] double count() const noexcept;
  /// Whether Halide's 32-bit indices reach every element.
  [[nodiscard]] bool fits_kernel() const noexcept;
  /// Whether the channels of each row follow each other without a gap.
  [[nodiscard]] bool planes_are_dense() const noexcept;
  /// Whether all elements follow each other without a gap.
  [[nodiscard]] bool is_dense() const noexcept;

  [[nodiscard]] View part(const Box& box) const noexcept;
  [[nodiscard]] View rows(std::int64_t first, std::int64_t count) const noexcept;
  [[nodiscard]] KernelBuffer buffer() const;  ///< the view fits_kernel()
};

/// One value per channel; a stride of 0 stands for one value for all of them.
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

/// Cuts the elements of equally shaped views into boxes of at most so many elements, in memory
/// order: whole rows where they fit, else channels of one row, else parts of one channel's row.
class Boxes {
 public:
  Boxes(const View& shape, std::int64_t elements);

  [[nodiscard]] std::int64_t size() const noexcept { return along_n_ * along_c_ * along_l_; }
  [[nodiscard]] Box operator[](std::int64_t i) const noexcept;

 private:
  std::int64_t N_, C_, L_;
  std::int64_t n_ = 1, c_ = 1, l_;            ///< a full box's extents
  std::int64_t along_n_, along_c_, along_l_;  ///< boxes along each axis
};

/// The boxes of a tensor that is too large for one kernel: few enough elements, and near enough to
/// each other in every view.
Boxes kernel_boxes(const View& x, const View& y);

/// Whether float32 sums of such data are added up in double: where a channel has few values, their
/// roundings would show in its statistics. The shape alone decides.
bool sums_in_double(const View& x) noexcept;

/// The kernel for such data, where it lies. Few values have a form of their own where it is faster:
/// on devices few per channel, which take one launch; on the CPU few in all, channels innermost,
/// which take one loop.
const Kernel& kernel_for(const Rows& operation, const View& x);

}  // namespace halnorm::detail
