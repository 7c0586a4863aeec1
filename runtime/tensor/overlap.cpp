#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/strides.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

struct Step {
  std::int64_t stride = 0;  ///< in bytes, positive
  std::int64_t extent = 0;  ///< at least 2
};

/// Where a tensor's elements lie: every sum of a multiple of each step. Outermost step first.
struct Places {
  std::int64_t start = 0;  ///< the lowest address
  std::int64_t size = 0;   ///< of an element
  std::vector<Step> steps;

  /// Bytes from the first to past the last element of the steps from `depth` inwards.
  [[nodiscard]] std::int64_t span(std::size_t depth) const {
    std::int64_t bytes = size;
    for (; depth < steps.size(); ++depth) {
      bytes += steps[depth].stride * (steps[depth].extent - 1);
    }
    return bytes;
  }
};

Places places_of(const Tensor& tensor) {
  Places result;
  result.size = static_cast<std::int64_t>(size_of(tensor.dtype()));
  result.start = address_of(tensor.raw_data());
  for (std::size_t axis = 0; axis < tensor.shape().size(); ++axis) {
    const std::int64_t extent = tensor.shape()[axis];
    const std::int64_t stride = tensor.strides()[axis] * result.size;
    if (extent > 1 && stride != 0) {
      result.start += std::min<std::int64_t>(stride * (extent - 1), 0);
      result.steps.push_back({std::abs(stride), extent});
    }
  }
  std::sort(result.steps.begin(), result.steps.end(),
            [](const Step& a, const Step& b) { return a.stride > b.stride; });
  return result;
}

/// The same for the steps from `depth` inwards, with b's first element `ahead` bytes after a's.
bool meet(const Places& a, const Places& b, std::size_t depth, std::int64_t ahead) {
  if (ahead >= a.span(depth) || -ahead >= b.span(depth)) {
    return false;
  }
  if (depth == a.steps.size() || depth == b.steps.size()) {
    return true;
  }
  const std::int64_t pitch = a.steps[depth].stride;
  if (b.steps[depth].stride != pitch || a.span(depth + 1) > pitch || b.span(depth + 1) > pitch) {
    return true;
  }
  // Rows of one pitch, none longer than it: b's row j begins within a's row j + behind, and may
  // reach into the row after that.
  const std::int64_t within = (ahead % pitch + pitch) % pitch;
  const std::int64_t behind = (ahead - within) / pitch;
  const auto both_exist = [&](std::int64_t shift) {
    return shift < a.steps[depth].extent && shift + b.steps[depth].extent > 0;
  };
  return (both_exist(behind) && meet(a, b, depth + 1, within)) ||
         (both_exist(behind + 1) && meet(a, b, depth + 1, within - pitch));
}

}  // namespace

bool elements_apart(const Tensor& t) {
  if (TensorAccess::of(t).contiguous) {
    return true;
  }
  // Sorted by stride, every axis steps over the inner ones.
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, extent
  for (std::size_t i = 0; i < t.shape().size(); ++i) {
    if (t.shape()[i] > 1) {
      axes.emplace_back(std::abs(t.strides()[i]), t.shape()[i]);
    }
  }
  std::sort(axes.begin(), axes.end());
  std::int64_t reach = 0;
  for (const auto& [stride, extent] : axes) {
    if (stride <= reach) {
      return false;
    }
    reach += stride * (extent - 1);
  }
  return true;
}

ByteRange byte_range(const void* first, const Shape& shape, const Strides& strides,
                     std::size_t element_size) noexcept {
  const auto size = static_cast<std::int64_t>(element_size);
  const std::int64_t start = address_of(first);
  ByteRange range{start, start + size};
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t reach = strides[axis] * (shape[axis] - 1) * size;
    (reach < 0 ? range.first : range.past) += reach;
  }
  return range;
}

bool may_overlap(const Tensor& a, const Tensor& b) {
  const auto& one = TensorAccess::of(a);
  const auto& other = TensorAccess::of(b);
  if (one.bytes.past <= other.bytes.first || other.bytes.past <= one.bytes.first) {
    return false;  // nearly always
  }
  const Places first = places_of(a);
  const Places second = places_of(b);
  return meet(first, second, 0, second.start - first.start);
}

}  // namespace halnorm::HALNORM_ABI::detail
