#pragma once

#include <cstdint>
#include <memory>

#include "halnorm/nn/batch_norm.h"

/// @file
/// Synchronized batch normalization in the form that torch.nn.SyncBatchNorm has: local tensors in
/// and out. It is a global layer (docs/distributed.md) behind a conversion.

#pragma GCC visibility push(default)

namespace halnorm::nn {

/// Over (N, C) or (N, C, L), or more axes. After to_global() a local x is this rank's rows of one
/// batch: forward(x) is this rank's part of y, backward(dy) that of dx, both local. In eval mode a
/// forward exchanges nothing. Before to_global() it is an ordinary batch normalization.
class SyncBatchNorm : public Typed<SyncBatchNorm, BatchNorm> {
 public:
  explicit SyncBatchNorm(std::int64_t num_features, const BatchNormOptions& options = {});

  Tensor forward(const Tensor& x) override;
  Tensor backward(const Tensor& grad_output) override;

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;

 private:
  [[nodiscard]] Tensor as_rows(const Tensor& local) const;
};

/// Replaces each BatchNorm1d, 2d and 3d in a tree by a SyncBatchNorm that shares its parameters and
/// buffers, and makes those global: rank 0's values win. Other modules stay local, and hooks of a
/// replaced layer are left behind. Returns the module, or what replaces it. Collective.
/// @throws ValueError for a null module, for a layer that is a member of its parent's class, and as
///         to_global().
std::shared_ptr<Module> convert_sync_batchnorm(std::shared_ptr<Module> module,
                                               const Placement& placement);

}  // namespace halnorm::nn

#pragma GCC visibility pop
