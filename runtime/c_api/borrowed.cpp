#include "borrowed.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "strided.h"

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

Tensor Borrowed::view(const DLTensor& given, void* data, DType dtype) {
  constexpr const char* function = "Tensor::from_blob";
  Place& place = block_->places.at(used_++);
  Shape shape;
  detail::Strides strides;
  if (place.fields) {  // their memory is used again
    shape = std::move(place.fields->shape);
    strides = std::move(place.fields->strides);
  }
  shape.assign(given.shape, given.shape + given.ndim);
  const std::int64_t count = detail::checked_numel(function, shape, size_of(dtype));
  if (given.strides != nullptr) {
    strides.assign(given.strides, given.strides + given.ndim);
    if (count > 0) {
      detail::checked_extremes(function, shape, strides, size_of(dtype));
    }
  } else {
    strides.resize(shape.size());
    std::int64_t step = 1;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      strides[axis] = step;
      step *= std::max<std::int64_t>(shape[axis], 1);
    }
  }
  place.fields.emplace(nullptr, &place.writes, data, std::move(shape), std::move(strides), count,
                       dtype);
  return detail::TensorAccess::borrow(*place.fields);
}

}  // namespace halnorm::c_api
