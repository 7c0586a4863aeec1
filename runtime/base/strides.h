#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "halnorm/shape.h"

/// @file
/// Arithmetic on extents and strides, and the walk over two strided blocks of one shape.

namespace halnorm::HALNORM_ABI::detail {

using Strides = std::vector<std::int64_t>;

/// "(2, 3)", "(2,)" for one extent, "()" for none.
std::string to_string(const Shape& shape);

/// The number of elements. @throws ShapeError, in `function`'s name, for a negative extent or a
/// size in bytes that does not fit in 63 bits.
std::int64_t checked_numel(const char* function, const Shape& shape, std::size_t element_size);

/// To be called in a catch block for std::bad_alloc. @throws MemoryError that names the size.
[[noreturn]] void throw_no_memory(const char* function, const Shape& shape,
                                  std::size_t element_size);

/// The size of that many elements in bytes. @throws std::bad_alloc if no object can be as large: on
/// a 32-bit machine from 2 GB on, where std::size_t would drop the upper half of the number.
inline std::size_t object_bytes(std::int64_t count, std::size_t element_size) {
  std::ptrdiff_t bytes = 0;
  if (__builtin_mul_overflow(count, element_size, &bytes)) {
    throw std::bad_alloc();
  }
  return static_cast<std::size_t>(bytes);
}

/// Row-major strides of a shape that checked_numel() accepts.
Strides contiguous_strides(const Shape& shape);

/// The same in place, for as many strides as there are extents. With `channels_last`, which needs
/// two axes, axis 1 is stored innermost.
void fill_dense_strides(Strides& strides, const Shape& shape, bool channels_last) noexcept;

/// Whether the strides are row-major without gaps; axes with one element do not matter.
bool is_contiguous(const Shape& shape, const Strides& strides) noexcept;

/// An axis that may count from the end, as an index. @throws ShapeError in `function`'s name.
std::size_t checked_axis(const char* function, std::int64_t axis, std::size_t rank);

/// The strides of a view with another shape, if there is such a view.
std::optional<Strides> reshaped_strides(const Shape& shape, const Strides& strides,
                                        const Shape& wanted);

/// Offsets, in elements, of the lowest and highest element of a non-empty block.
struct Extremes {
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
};
/// @throws ShapeError, in `function`'s name, if an offset in bytes does not fit in 63 bits.
Extremes checked_extremes(const char* function, const Shape& shape, const Strides& strides,
                          std::size_t element_size);

inline std::int64_t address_of(const void* memory) noexcept {
  return static_cast<std::int64_t>(std::bit_cast<std::uintptr_t>(memory));
}

/// The addresses from the lowest element to past the highest one of a non-empty block.
struct ByteRange {
  std::int64_t first = 0;
  std::int64_t past = 0;
};

/// One axis of a walk: the extent, and the step along it in each of the two blocks.
struct Axis {
  std::int64_t extent = 1;
  std::int64_t target = 0;
  std::int64_t source = 0;
  std::int64_t index = 0;  ///< during a walk
};

/// The axes of a walk over a non-empty shape, outermost first: the target's smallest stride comes
/// last, and axes that continue each other in both blocks are merged. Never empty.
std::vector<Axis> walk_axes(const Shape& shape, const Strides& target, const Strides& source);

/// Calls row(target offset, source offset, innermost axis) for every row of elements. Allocates
/// nothing.
template <class Row>
void for_each_row(std::vector<Axis>& axes, Row row) {
  const Axis inner = axes.back();
  const std::size_t outer = axes.size() - 1;
  std::int64_t target = 0;
  std::int64_t source = 0;
  for (;;) {
    row(target, source, inner);
    std::size_t axis = outer;
    for (; axis > 0; --axis) {
      Axis& step = axes[axis - 1];
      target += step.target;
      source += step.source;
      if (++step.index < step.extent) {
        break;
      }
      target -= step.target * step.extent;
      source -= step.source * step.extent;
      step.index = 0;
    }
    if (axis == 0) {
      return;
    }
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
