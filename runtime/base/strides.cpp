#include "base/strides.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// a * b for non-negative b, or nothing if it does not fit.
std::optional<std::int64_t> product(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    return std::nullopt;
  }
  return result;
}

std::optional<std::int64_t> sum(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) {
    return std::nullopt;
  }
  return result;
}

/// The extremes, or nothing if one does not fit in 63 bits when counted in bytes.
std::optional<Extremes> extremes_of(const Shape& shape, const Strides& strides,
                                    std::int64_t element_size) noexcept {
  Extremes result;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const auto reach = product(strides[axis], shape[axis] - 1);
    if (!reach) {
      return std::nullopt;
    }
    std::int64_t& end = *reach < 0 ? result.lowest : result.highest;
    const auto moved = sum(end, *reach);
    if (!moved) {
      return std::nullopt;
    }
    end = *moved;
  }
  const auto past = sum(result.highest, 1);
  if (!past || !product(*past, element_size) || !product(result.lowest, element_size)) {
    return std::nullopt;
  }
  return result;
}

/// Whether `outer` is what remains of a longer axis after `inner` was cut from it.
bool continues(const Axis& outer, const Axis& inner) noexcept {
  return outer.target == inner.target * inner.extent && outer.source == inner.source * inner.extent;
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += (axis == 0 ? "" : ", ") + std::to_string(shape[axis]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::int64_t checked_numel(const char* function, const Shape& shape, std::size_t element_size) {
  // Empty axes count as one: the strides of an empty tensor must fit as well.
  auto bytes = std::optional(static_cast<std::int64_t>(element_size));
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) {
      throw ShapeError(std::string(function) + ": got shape " + to_string(shape) +
                       ", wanted extents of at least 0");
    }
    bytes = product(*bytes, std::max<std::int64_t>(extent, 1));
    if (!bytes) {
      throw ShapeError(std::string(function) + ": got shape " + to_string(shape) + " with " +
                       std::to_string(element_size) +
                       " bytes an element, wanted a size in bytes that fits in 63 bits");
    }
    count *= extent;
  }
  return count;
}

void throw_no_memory(const char* function, const Shape& shape, std::size_t element_size) {
  throw MemoryError(std::string(function) + ": got no memory for shape " + to_string(shape) +
                    ", wanted " + std::to_string(checked_numel(function, shape, 1)) +
                    " elements of " + std::to_string(element_size) + " bytes");
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides(shape.size());
  fill_dense_strides(strides, shape, false);
  return strides;
}

void fill_dense_strides(Strides& strides, const Shape& shape, bool channels_last) noexcept {
  constexpr std::size_t channels = 1;
  std::int64_t step = 1;
  if (channels_last) {
    strides[channels] = 1;
    step = std::max<std::int64_t>(shape[channels], 1);
  }
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (!channels_last || axis != channels) {
      strides[axis] = step;
      step *= std::max<std::int64_t>(shape[axis], 1);
    }
  }
}

bool is_contiguous(const Shape& shape, const Strides& strides) noexcept {
  std::int64_t step = 1;
  bool dense = true;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 0) {
      return true;
    }
    dense = dense && (shape[axis] == 1 || strides[axis] == step);
    step *= shape[axis];
  }
  return dense;
}

std::size_t checked_axis(const char* function, std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  if (axis < -count || axis >= count) {
    throw ShapeError(std::string(function) + ": got axis " + std::to_string(axis) +
                     ", wanted one in [" + std::to_string(-count) + ", " + std::to_string(count) +
                     ") for a tensor of rank " + std::to_string(rank));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

std::optional<Strides> reshaped_strides(const Shape& shape, const Strides& strides,
                                        const Shape& wanted) {
  if (is_contiguous(shape, strides)) {
    return contiguous_strides(wanted);
  }
  // From the innermost axis outwards: gather old axes into one run of equally spaced elements, and
  // cut wanted axes from it until it is used up.
  Strides result(wanted.size());
  std::size_t old_axis = shape.size();
  std::size_t new_axis = wanted.size();
  std::int64_t step = 1;
  while (old_axis > 0) {
    --old_axis;
    if (shape[old_axis] == 1) {
      continue;
    }
    step = strides[old_axis];
    std::int64_t run = shape[old_axis];
    while (old_axis > 0 && (shape[old_axis - 1] == 1 || strides[old_axis - 1] == step * run)) {
      run *= shape[--old_axis];
    }
    while (new_axis > 0 && (run > 1 || wanted[new_axis - 1] == 1)) {
      const std::int64_t extent = wanted[--new_axis];
      if (run % extent != 0) {
        return std::nullopt;
      }
      result[new_axis] = step;
      step *= extent;
      run /= extent;
    }
    if (run != 1) {
      return std::nullopt;
    }
  }
  return result;
}

Extremes checked_extremes(const char* function, const Shape& shape, const Strides& strides,
                          std::size_t element_size) {
  const auto found = extremes_of(shape, strides, static_cast<std::int64_t>(element_size));
  if (!found) {
    throw ShapeError(std::string(function) + ": got shape " + to_string(shape) + " with strides " +
                     to_string(strides) + ", wanted offsets in bytes that fit in 63 bits");
  }
  return *found;
}

std::vector<Axis> walk_axes(const Shape& shape, const Strides& target, const Strides& source) {
  std::vector<Axis> axes;
  axes.reserve(shape.size() + 1);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1) {
      axes.push_back({.extent = shape[axis], .target = target[axis], .source = source[axis]});
    }
  }
  // By hand: std::stable_sort() is 6 KB of code.
  for (std::size_t last = 1; last < axes.size(); ++last) {
    for (std::size_t axis = last; axis > 0; --axis) {
      if (std::abs(axes[axis - 1].target) >= std::abs(axes[axis].target)) {
        break;
      }
      std::swap(axes[axis - 1], axes[axis]);
    }
  }
  std::vector<Axis> merged;
  merged.reserve(axes.size() + 1);
  for (const Axis& axis : axes) {
    if (!merged.empty() && continues(merged.back(), axis)) {
      merged.back() = {.extent = merged.back().extent * axis.extent,
                       .target = axis.target,
                       .source = axis.source};
    } else {
      merged.push_back(axis);
    }
  }
  if (merged.empty()) {
    merged.emplace_back();
  }
  return merged;
}

}  // namespace halnorm::HALNORM_ABI::detail
