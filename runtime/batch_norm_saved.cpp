#include "batch_norm_saved.h"

#include <utility>

namespace halnorm::nn::detail {

void SavedForwards::push(SavedForward&& forward) noexcept {
  // Swapped out and destroyed after the lock is gone: freeing a batch takes long.
  SavedForward dropped = std::move(forward);
  const std::scoped_lock lock(mutex_);
  std::swap(ring_[end_], dropped);
  end_ = end_ + 1 == ring_.size() ? 0 : end_ + 1;
  if (size_ < ring_.size()) {
    ++size_;
  }
}

std::optional<SavedForward> SavedForwards::pop() noexcept {
  const std::scoped_lock lock(mutex_);
  if (size_ == 0) {
    return std::nullopt;
  }
  end_ = (end_ == 0 ? ring_.size() : end_) - 1;
  --size_;
  return std::exchange(ring_[end_], SavedForward());
}

void SavedForwards::clear() noexcept {
  while (pop()) {
  }
}

}  // namespace halnorm::nn::detail
