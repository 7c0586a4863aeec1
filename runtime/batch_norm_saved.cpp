#include "batch_norm_saved.h"

#include <mutex>
#include <utility>

namespace halnorm::nn::detail {

namespace {

void move_if_free(Tensor& place, Tensor& tensor) noexcept {
  if (!place.defined()) {
    place = std::move(tensor);
  }
}

}  // namespace

void SavedForwards::push(SavedForward&& forward, halnorm::detail::TrainStatistics&& room) noexcept {
  // Swapped out and destroyed after the lock is gone: freeing a batch takes long.
  SavedForward dropped = std::move(forward);
  halnorm::detail::TrainStatistics given = std::move(room);
  const std::scoped_lock lock(mutex_);
  keep(given);
  std::swap(ring_[end_], dropped);
  if (dropped.batch_statistics) {
    move_if_free(room_.mean, dropped.mean);
    move_if_free(room_.invstd, dropped.spread);
  }
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

halnorm::detail::TrainStatistics SavedForwards::take_room() noexcept {
  const std::scoped_lock lock(mutex_);
  return std::exchange(room_, {});
}

void SavedForwards::give_room(halnorm::detail::TrainStatistics&& room) noexcept {
  halnorm::detail::TrainStatistics given = std::move(room);
  const std::scoped_lock lock(mutex_);
  keep(given);
}

void SavedForwards::keep(halnorm::detail::TrainStatistics& room) noexcept {
  move_if_free(room_.mean, room.mean);
  move_if_free(room_.invstd, room.invstd);
  move_if_free(room_.m2, room.m2);
}

}  // namespace halnorm::nn::detail
