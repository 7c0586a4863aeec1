#include "c_api/borrowed.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/strides.h"

namespace halnorm::HALNORM_ABI::c_api {

/// A cache of blocks that no call uses. A thread takes a block and puts it back by one atomic
/// exchange each: there is no lock that another thread could hold during a fork. Cached blocks are
/// never freed, because destructors of the program's globals may call the library.
class BlockCache {
 public:
  static Borrowed::Block* take() {
    for (auto& slot : slots) {
      if (slot.load(std::memory_order_relaxed) != nullptr) {
        if (auto* block = slot.exchange(nullptr, std::memory_order_acquire); block != nullptr) {
          return block;
        }
      }
    }
    return new Borrowed::Block;
  }

  static void put_back(Borrowed::Block* block) noexcept {
    for (auto& slot : slots) {
      if (slot.load(std::memory_order_relaxed) == nullptr) {
        block = slot.exchange(block, std::memory_order_acq_rel);
        if (block == nullptr) {
          return;
        }
      }
    }
    delete block;
  }

 private:
  /// If more calls run at the same time, they allocate.
  static constexpr std::size_t most = 16;
  static constinit std::array<std::atomic<Borrowed::Block*>, most> slots;
};

constinit std::array<std::atomic<Borrowed::Block*>, BlockCache::most> BlockCache::slots{};

Borrowed::Borrowed() : block_(BlockCache::take()) {}

Borrowed::~Borrowed() { BlockCache::put_back(block_); }

namespace {

using Fields = detail::TensorAccess::Fields;

void move_to(Fields& fields, void* data) noexcept {
  const std::int64_t moved = detail::address_of(data) - detail::address_of(fields.data);
  fields.bytes.first += moved;
  fields.bytes.past += moved;
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

std::size_t Borrowed::known_element_size(const DLTensor& given) const noexcept {
  constexpr auto host = std::bit_cast<std::uint64_t>(DLDevice{kDLCPU, 0});
  const Place& place = block_->places[used_];
  if (!place.fields || std::bit_cast<std::uint32_t>(given.dtype) != place.known_dtype ||
      std::bit_cast<std::uint64_t>(given.device) != host) {
    return 0;
  }
  const Fields& fields = *place.fields;
  const std::size_t rank = fields.shape.size();
  if (std::cmp_not_equal(rank, given.ndim) || (given.shape == nullptr && rank > 0) ||
      (given.strides == nullptr) != place.has_no_strides) {
    return 0;
  }
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (given.shape[axis] != fields.shape[axis] ||
        (given.strides != nullptr && given.strides[axis] != fields.strides[axis])) {
      return 0;
    }
  }
  return given.dtype.bits / 8U;
}

Tensor Borrowed::view_again(void* data) noexcept {
  // known_element_size() has seen it. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
  Fields& fields = *block_->places[used_++].fields;
  move_to(fields, data);
  return detail::TensorAccess::borrow(fields);
}

Tensor Borrowed::view(const DLTensor& given, void* data, DType dtype) {
  constexpr const char* function = "Tensor::from_blob";
  Place& place = block_->places.at(used_++);
  Shape shape;
  detail::Strides strides;
  if (place.fields) {  // the memory of both is used again
    shape = std::move(place.fields->shape);
    strides = std::move(place.fields->strides);
    place.fields.reset();
    place.known_dtype = 0;
  }
  shape.assign(given.shape, given.shape + given.ndim);
  const std::int64_t count = detail::checked_numel(function, shape, size_of(dtype));
  strides = strides_of(given, shape, std::move(strides));
  if (count > 0) {
    detail::checked_extremes(function, shape, strides, size_of(dtype));
  }
  place.fields.emplace(nullptr, &place.writes, data, std::move(shape), std::move(strides), count,
                       dtype);
  place.known_dtype = count > 0 ? std::bit_cast<std::uint32_t>(given.dtype) : 0;
  place.has_no_strides = given.strides == nullptr;
  return detail::TensorAccess::borrow(*place.fields);
}

}  // namespace halnorm::HALNORM_ABI::c_api
