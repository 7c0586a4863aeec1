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

namespace halnorm::HALNORM_ABI::nn::detail {

struct FusedFunctions;

/// The record of a forward for its backward.
struct SavedForward {
  Tensor x;
  Parameter weight;  ///< as the forward used them; they receive the gradients
  Parameter bias;
  bool training = true;  ///< the module's mode
  bool batch_statistics = true;
  Tensor mean;           ///< of the batch, or a copy of the running mean
  Tensor invstd_or_var;  ///< invstd of the batch, or a copy of the running variance
  double eps = 0;
  Tensor y;                               ///< of a fused forward, otherwise undefined
  const FusedFunctions* fused = nullptr;  ///< of a fused forward, otherwise null
  double slope = 0;                       ///< of the same
  bool has_addend = false;
  /// Of x and y in a global forward, in which x is this rank's part; null in a local one.
  std::shared_ptr<const halnorm::detail::Distribution> distribution;
  double count = 0;  ///< values per channel of all ranks, of a training forward of a split x
  /// The versions of the tensors whose elements the backward reads again.
  halnorm::detail::Version x_version = 0, weight_version = 0, y_version = 0;

  /// `weight_data` is weight.data(), which the caller has already.
  void note_writes(const Tensor& weight_data) noexcept {
    x_version = halnorm::detail::version_of(x);
    weight_version = halnorm::detail::version_of(weight_data);
    y_version = halnorm::detail::version_of(y);
  }
  /// The name of a tensor that was written after the forward, or null.
  [[nodiscard]] const char* written() const noexcept;
};

/// The latest records of each mode, last in first out, in rings that are allocated once, so that
/// adding a record cannot fail. Threads share them.
class SavedForwards {
 public:
  /// The limit of Module::set_max_saved_forwards(), because each record has a place.
  static constexpr std::size_t most = std::size_t{1} << 20;

  explicit SavedForwards(std::size_t capacity) : capacity_(capacity) {}

  /// To be called before a forward computes: whether its record will be kept. If so, its place is
  /// allocated. `buffers`, if not null, receives the statistics buffers of a finished forward, so
  /// that the next one allocates none.
  bool begin(bool wants_record, bool training, halnorm::detail::TrainStatistics* buffers);

  /// Adds a record, and drops the oldest one of the mode if the ring is full. `buffers` is returned
  /// under the same lock. The dropped record is in `forward` and `buffers` afterwards, so that the
  /// caller frees its tensors, which may take long, without the lock.
  void push(SavedForward& forward, halnorm::detail::TrainStatistics& buffers) noexcept;
  /// Removes the latest record of a mode; false if there is none.
  bool pop(bool training, SavedForward& latest) noexcept;
  void clear() noexcept;
  void give_buffers(halnorm::detail::TrainStatistics&& buffers) noexcept;

  [[nodiscard]] std::size_t size() noexcept { return size(false) + size(true); }
  [[nodiscard]] std::size_t size(bool training) noexcept;
  [[nodiscard]] std::size_t capacity() noexcept;
  /// Sets the number of records per mode, at most `most`; drops the oldest ones beyond it.
  void set_capacity(std::size_t capacity);

 private:
  struct Ring {
    std::vector<SavedForward> places;
    std::size_t end = 0;  ///< the place of the next record
    std::size_t size = 0;

    void push(SavedForward& forward) noexcept;  ///< `forward` receives the dropped record
    bool pop(SavedForward& latest) noexcept;
  };

  [[nodiscard]] Ring& of(bool training) noexcept { return rings_[training ? 1 : 0]; }
  void keep(halnorm::detail::TrainStatistics& buffers) noexcept;
  /// False, without a change, if `rings` has no places for a mode that has records.
  bool replace_rings(std::array<Ring, 2>& rings, std::size_t capacity) noexcept;

  halnorm::detail::ForkMutex mutex_;
  std::array<Ring, 2> rings_;  ///< of eval and of training mode; allocated when a record is added
  std::size_t capacity_;
  halnorm::detail::TrainStatistics buffers_;
};

/// The x for a record: x itself, or a copy if the result overwrites x.
Tensor kept_input(const Tensor& x, const Tensor& out);

/// `count` points to the counter's value; null if nothing is counted.
void count_forward(std::int64_t* count, const Tensor& counter);

/// The record of a backward, and the gradients that it adds to. The additions come last and must
/// not fail half way.
void check_backward(const BatchNorm& layer, const SavedForward& saved, const Tensor& dy);

/// The gradients of a local forward.
functional::BatchNormFusedBackward local_gradients(const SavedForward& saved, const Tensor& dy);

}  // namespace halnorm::HALNORM_ABI::nn::detail
