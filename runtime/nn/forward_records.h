#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "functional/train_statistics.h"
#include "halnorm/functional_fused.h"
#include "halnorm/nn/batch_norm.h"
#include "halnorm/tensor.h"
#include "kernels/process.h"
#include "tensor/impl.h"

namespace halnorm::nn::detail {

struct FusedFunctions;

/// What the backward of one forward needs.
struct SavedForward {
  Tensor x;
  Parameter weight;  ///< as the forward used them: they receive the gradients
  Parameter bias;
  bool training = true;  ///< the module's mode
  bool batch_statistics = true;
  Tensor mean;    ///< the batch's, or a copy of the running one
  Tensor spread;  ///< invstd of the batch, or a copy of the running variance
  double eps = 0;
  Tensor y;                               ///< of a fused forward, otherwise undefined
  const FusedFunctions* fused = nullptr;  ///< of a fused forward, otherwise null
  bool has_addend = false;
  /// Of x and y in a global forward, where x is this rank's part; null in a local one.
  std::shared_ptr<const halnorm::detail::Distribution> distribution;
  double count = 0;  ///< values per channel of all ranks, of a training forward of a split x
  /// Of the tensors whose elements the backward reads again.
  halnorm::detail::Version x_version = 0, weight_version = 0, y_version = 0;

  /// `weight_data` is weight.data(), which the caller has at hand.
  void note_writes(const Tensor& weight_data) noexcept {
    x_version = halnorm::detail::version_of(x);
    weight_version = halnorm::detail::version_of(weight_data);
    y_version = halnorm::detail::version_of(y);
  }
  /// The name of a tensor that was written since then, or null.
  [[nodiscard]] const char* written() const noexcept;
};

/// The latest forwards of each mode, last in first out, in rings that are allocated once: putting
/// one in cannot fail. Threads share them.
class SavedForwards {
 public:
  /// More are refused by Module::set_max_saved_forwards(): there is a place for each.
  static constexpr std::size_t most = std::size_t{1} << 20;

  explicit SavedForwards(std::size_t capacity) : capacity_(capacity) {}

  /// Before a forward computes: whether a record of it is kept, for which there is a place from
  /// here on. `room`, if not null, takes the tensors of a forward that is done with: so the next
  /// one allocates none.
  bool begin(bool wants_record, bool training, halnorm::detail::TrainStatistics* room);

  /// Drops the oldest of the mode when full. `room` is given back with it, under one lock. What is
  /// dropped is in `forward` and `room` afterwards: freeing a batch takes long, and the lock is
  /// gone by then.
  void push(SavedForward& forward, halnorm::detail::TrainStatistics& room) noexcept;
  /// Takes out the latest of a mode; false if there is none.
  bool pop(bool training, SavedForward& latest) noexcept;
  void clear() noexcept;
  void give_room(halnorm::detail::TrainStatistics&& room) noexcept;

  [[nodiscard]] std::size_t size() noexcept { return size(false) + size(true); }
  [[nodiscard]] std::size_t size(bool training) noexcept;
  [[nodiscard]] std::size_t capacity() noexcept;
  /// For each mode, at most `most`; drops the oldest beyond it.
  void set_capacity(std::size_t capacity);

 private:
  struct Ring {
    std::vector<SavedForward> places;
    std::size_t end = 0;  ///< where the next one goes
    std::size_t size = 0;

    void push(SavedForward& forward) noexcept;  ///< leaves there what is dropped
    bool pop(SavedForward& latest) noexcept;
  };

  [[nodiscard]] Ring& of(bool training) noexcept { return rings_[training ? 1 : 0]; }
  void keep(halnorm::detail::TrainStatistics& room) noexcept;
  /// False, and nothing done, if `rings` lacks places for a mode that has some.
  bool replace_rings(std::array<Ring, 2>& rings, std::size_t capacity) noexcept;

  halnorm::detail::ForkMutex mutex_;
  std::array<Ring, 2> rings_;  ///< of eval mode, of training; without places until one is needed
  std::size_t capacity_;
  halnorm::detail::TrainStatistics room_;
};

/// What the record of a forward keeps of x: x itself, or a copy where the result overwrites it.
Tensor kept_input(const Tensor& x, const Tensor& out);

/// `count` is where the counter keeps its value; null if nothing is counted.
void count_forward(std::int64_t* count, const Tensor& counter);

/// What a backward needs, and all that it adds to: adding comes last and must not fail half way.
void check_backward(const BatchNorm& layer, const SavedForward& saved, const Tensor& dy);

/// The gradients of a forward that one process made.
functional::BatchNormFusedBackward local_gradients(const SavedForward& saved, const Tensor& dy);

}  // namespace halnorm::nn::detail
