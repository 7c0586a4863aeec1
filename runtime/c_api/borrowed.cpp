#include "c_api/borrowed.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/strides.h"

namespace halnorm::c_api {

/// Blocks that no call uses. A thread takes one and puts one back, each by one exchange: there is
/// no lock that a fork could find held. They are never freed, because calls come from destructors
/// of the program's globals too.
class SpareBlocks {
 public:
  static Borrowed::Block* take() {
    for (auto& spare : spares) {
      if (spare.load(std::memory_order_relaxed) != nullptr) {
        if (auto* block = spare.exchange(nullptr, std::memory_order_acquire); block != nullptr) {
          return block;
        }
      }
    }
    return new Borrowed::Block;
  }

  static void put_back(Borrowed::Block* block) noexcept {
    for (auto& spare : spares) {
      if (spare.load(std::memory_order_relaxed) == nullptr) {
        block = spare.exchange(block, std::memory_order_acq_rel);
        if (block == nullptr) {
          return;
        }
      }
    }
    delete block;
  }

 private:
  /// More calls at the same time allocate.
  static constexpr std::size_t most = 16;
  static constinit std::array<std::atomic<Borrowed::Block*>, most> spares;
};

constinit std::array<std::atomic<Borrowed::Block*>, SpareBlocks::most> SpareBlocks::spares{};

Borrowed::Borrowed() : block_(SpareBlocks::take()) {}

Borrowed::~Borrowed() { SpareBlocks::put_back(block_); }

namespace {

using Fields = detail::TensorAccess::Fields;

/// Whether the fields of an earlier tensor differ from the wanted ones in nothing but the address.
bool has_layout(const Fields& fields, const DLTensor& given, DType dtype) noexcept {
  if (fields.dtype != dtype || std::cmp_not_equal(fields.shape.size(), given.ndim)) {
    return false;
  }
  std::int64_t step = 1;  // of strides that are NULL
  for (std::size_t axis = fields.shape.size(); axis-- > 0;) {
    const std::int64_t stride = given.strides == nullptr ? step : given.strides[axis];
    if (fields.shape[axis] != given.shape[axis] || fields.strides[axis] != stride) {
      return false;
    }
    step *= std::max<std::int64_t>(given.shape[axis], 1);
  }
  return true;
}

void move_to(Fields& fields, void* data) noexcept {
  if (fields.numel > 0) {
    const auto address = [](const void* of) {
      return static_cast<std::int64_t>(std::bit_cast<std::uintptr_t>(of));
    };
    const std::int64_t moved = address(data) - address(fields.data);
    fields.bytes.first += moved;
    fields.bytes.past += moved;
  }
  fields.data = data;
}

detail::Strides strides_of(const DLTensor& given, const Shape& shape, detail::Strides memory) {
  if (given.strides != nullptr) {
    memory.assign(given.strides, given.strides + given.ndim);
    return memory;
  }
  memory.resize(shape.size());
  std::int64_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    memory[axis] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  return memory;
}

}  // namespace

Tensor Borrowed::view(const DLTensor& given, void* data, DType dtype) {
  constexpr const char* function = "Tensor::from_blob";
  Place& place = block_->places.at(used_++);
  if (place.fields && has_layout(*place.fields, given, dtype)) {
    move_to(*place.fields, data);
    return detail::TensorAccess::borrow(*place.fields);
  }
  Shape shape;
  detail::Strides strides;
  if (place.fields) {  // the memory of both is used again
    shape = std::move(place.fields->shape);
    strides = std::move(place.fields->strides);
    place.fields.reset();
  }
  shape.assign(given.shape, given.shape + given.ndim);
  const std::int64_t count = detail::checked_numel(function, shape, size_of(dtype));
  strides = strides_of(given, shape, std::move(strides));
  if (count > 0) {
    detail::checked_extremes(function, shape, strides, size_of(dtype));
  }
  place.fields.emplace(nullptr, &place.writes, data, std::move(shape), std::move(strides), count,
                       dtype);
  return detail::TensorAccess::borrow(*place.fields);
}

}  // namespace halnorm::c_api
