#include "nn/batch_norm/forward_records.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace halnorm::HALNORM_ABI::nn::detail {

namespace {

using halnorm::detail::version_of;

void move_if_free(Tensor& place, Tensor& tensor) noexcept {
  if (!place.defined()) {
    place = std::move(tensor);
  }
}

}  // namespace

const char* SavedForward::written() const noexcept {
  return version_of(x) != x_version                    ? "x"
         : version_of(weight.data()) != weight_version ? "weight"
         : version_of(y) != y_version                  ? "y"
                                                       : nullptr;
}

void SavedForwards::Ring::push(SavedForward& forward) noexcept {
  if (places.empty()) {
    return;
  }
  if (size < places.size()) {
    places[end] = std::move(forward);
    ++size;
  } else {
    std::swap(places[end], forward);
  }
  end = end + 1 == places.size() ? 0 : end + 1;
}

bool SavedForwards::Ring::pop(SavedForward& latest) noexcept {
  if (size == 0) {
    return false;
  }
  end = (end == 0 ? places.size() : end) - 1;
  --size;
  latest = std::move(places[end]);
  return true;
}

bool SavedForwards::begin(bool wants_record, bool training,
                          halnorm::detail::TrainStatistics* buffers) {
  std::vector<SavedForward> places;
  while (true) {
    std::size_t wanted = 0;
    {
      const std::scoped_lock lock(mutex_);
      Ring& ring = of(training);
      const bool keeps = wants_record && capacity_ > 0;
      if (keeps && ring.places.empty() && places.size() == capacity_) {
        ring.places.swap(places);
      }
      if (!keeps || !ring.places.empty()) {
        if (buffers != nullptr) {
          *buffers = std::exchange(buffers_, {});
        }
        return keeps;
      }
      wanted = capacity_;
    }
    places.resize(wanted);  // without the lock, see ForkMutex
  }
}

void SavedForwards::push(SavedForward& forward,
                         halnorm::detail::TrainStatistics& buffers) noexcept {
  const std::scoped_lock lock(mutex_);
  keep(buffers);
  of(forward.training).push(forward);
  if (forward.batch_statistics) {
    move_if_free(buffers_.mean, forward.mean);
    move_if_free(buffers_.invstd, forward.invstd_or_var);
  }
}

bool SavedForwards::pop(bool training, SavedForward& latest) noexcept {
  const std::scoped_lock lock(mutex_);
  return of(training).pop(latest);
}

void SavedForwards::clear() noexcept {
  for (const bool training : {false, true}) {
    for (SavedForward dropped; pop(training, dropped); dropped = {}) {
    }
  }
}

void SavedForwards::give_buffers(halnorm::detail::TrainStatistics&& buffers) noexcept {
  const std::scoped_lock lock(mutex_);
  keep(buffers);
}

std::size_t SavedForwards::size(bool training) noexcept {
  const std::scoped_lock lock(mutex_);
  return of(training).size;
}

std::size_t SavedForwards::capacity() noexcept {
  const std::scoped_lock lock(mutex_);
  return capacity_;
}

void SavedForwards::set_capacity(std::size_t capacity) {
  std::array<Ring, 2> rings;  // and then the old ones, destroyed after the lock is gone
  while (!replace_rings(rings, capacity)) {
    for (Ring& ring : rings) {
      ring.places.resize(capacity);  // without the lock, see ForkMutex
    }
  }
}

bool SavedForwards::replace_rings(std::array<Ring, 2>& rings, std::size_t capacity) noexcept {
  const std::scoped_lock lock(mutex_);
  for (std::size_t mode = 0; mode < rings.size(); ++mode) {
    if (!rings_[mode].places.empty() && rings[mode].places.size() != capacity) {
      return false;
    }
  }
  for (std::size_t mode = 0; mode < rings.size(); ++mode) {
    Ring& ring = rings[mode];
    ring.size = std::min(rings_[mode].size, capacity);
    for (std::size_t i = ring.size; i-- > 0;) {
      rings_[mode].pop(ring.places[i]);
    }
    ring.end = ring.size == capacity ? 0 : ring.size;
  }
  std::swap(rings, rings_);
  capacity_ = capacity;
  return true;
}

void SavedForwards::keep(halnorm::detail::TrainStatistics& buffers) noexcept {
  move_if_free(buffers_.mean, buffers.mean);
  move_if_free(buffers_.invstd, buffers.invstd);
  move_if_free(buffers_.m2, buffers.m2);
}

}  // namespace halnorm::HALNORM_ABI::nn::detail
