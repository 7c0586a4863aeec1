#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "halnorm/tensor.h"
#include "process.h"
#include "train_statistics.h"

namespace halnorm::nn::detail {

/// What the backward of one forward needs.
struct SavedForward {
  Tensor x;
  Parameter weight;  ///< as the forward used them: they receive the gradients
  Parameter bias;
  bool batch_statistics = true;
  Tensor mean;    ///< the batch's, or a copy of the running one
  Tensor spread;  ///< invstd of the batch, or a copy of the running variance
  double eps = 0;
  Tensor y;  ///< of a fused forward, otherwise undefined
  bool has_addend = false;
};

/// The latest forwards, last in first out, in a ring that is allocated once: putting one in cannot
/// fail. Threads share it.
class SavedForwards {
 public:
  explicit SavedForwards(std::size_t capacity) : ring_(capacity) {}

  /// Drops the oldest when full. `room` is given back with it, under one lock.
  void push(SavedForward&& forward, halnorm::detail::TrainStatistics&& room = {}) noexcept;
  /// The latest, or none.
  std::optional<SavedForward> pop() noexcept;
  void clear() noexcept;

  /// The tensors of a forward that is done with, for the next one: so it allocates none.
  halnorm::detail::TrainStatistics take_room() noexcept;
  void give_room(halnorm::detail::TrainStatistics&& room) noexcept;

 private:
  void keep(halnorm::detail::TrainStatistics& room) noexcept;

  halnorm::detail::ForkMutex mutex_;
  std::vector<SavedForward> ring_;
  std::size_t end_ = 0;  ///< where the next one goes
  std::size_t size_ = 0;
  halnorm::detail::TrainStatistics room_;
};

}  // namespace halnorm::nn::detail
