#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "halnorm/nn/batch_norm.h"

/// @file
/// Synchronized batch normalization with local tensors, like torch.nn.SyncBatchNorm. It converts
/// its input to a global tensor (docs/distributed.md) and its output to a local one.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

struct FusedGradients;

/// Batch normalization over (N, C), (N, C, L) or more axes. After to_global(), x is this rank's
/// rows of one batch over all ranks; forward(x) returns this rank's rows of y, backward(dy) this
/// rank's rows of dx. A forward in eval mode exchanges nothing if there are running statistics.
/// Before to_global() the layer normalizes each rank's batch on its own.
class SyncBatchNorm : public Typed<SyncBatchNorm, BatchNorm> {
 public:
  /// @throws ValueError for a negative num_features or an invalid option.
  explicit SyncBatchNorm(std::int64_t num_features, const BatchNormOptions& options = {});

  Tensor forward(const Tensor& x) override;
  Tensor backward(const Tensor& grad_output) override;

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;

 private:
  [[nodiscard]] Tensor as_rows(const Tensor& local) const;
  friend std::vector<FusedGradients> backward_together(const std::vector<BatchNorm*>& layers,
                                                       const std::vector<Tensor>& grad_outputs);
};

/// Replaces each BatchNorm1d, 2d and 3d in a tree by a SyncBatchNorm with the same parameters and
/// buffers, and makes these global with rank 0's values. Other modules stay local. Hooks of a
/// replaced layer are not taken over. Returns the module, or its replacement. All ranks call this.
/// @throws ValueError for a null module, for a layer that is a member of its parent's class, and as
///         to_global().
std::shared_ptr<Module> convert_sync_batchnorm(std::shared_ptr<Module> module,
                                               const Placement& placement);

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
