#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "halnorm/nn/batch_norm.h"

/// @file
/// Batch normalization with the addition and the relu that follow it in a residual block, in one
/// pass over memory. Formulas: halnorm/functional_fused.h.

#pragma GCC visibility push(default)

namespace halnorm::nn {

/// The gradients with respect to the two inputs of a fused layer.
struct FusedGradients {
  Tensor dx;
  Tensor daddend;  ///< undefined if the forward had no addend
};

/// What FusedBatchNorm1d, 2d and 3d share: y = relu(batch_norm(x) + addend); without an addend
/// relu(batch_norm(x)). Everything else is as in BatchNorm1d, 2d and 3d, whose state dictionaries
/// they read and write.
///
/// Hooks see x and y, and not the addend. Until their backward, leave the elements of x, of the
/// weight and of y alone: where y is 0 no gradient passes.
class FusedBatchNorm : public BatchNorm {
 public:
  using Module::operator();
  /// Pre-hooks, forward, hooks: forward(x) without an addend, otherwise forward(x, addend).
  /// `addend`: x's shape and dtype, or undefined for none. `out`, if defined, receives the result;
  /// it may be x or addend. The result of a subclass is copied to it.
  Tensor operator()(const Tensor& x, const Tensor& addend, const Tensor& out = {});
  /// As Module's, of a layer that is const.
  Tensor operator()(const Tensor& x, const Tensor& addend, const Tensor& out = {}) const;
  Tensor forward(const Tensor& x) override;
  virtual Tensor forward(const Tensor& x, const Tensor& addend);

  /// Of the latest forward that was not yet differentiated, as backward(), which returns dx alone.
  FusedGradients backward_fused(const Tensor& grad_output);

 protected:
  using BatchNorm::BatchNorm;

  Tensor forward_into(const Tensor& x, const Tensor& out) override;

 private:
  Tensor forward_into(const Tensor& x, const Tensor& addend, const Tensor& out);
};

/// Over (N, C) or (N, C, L).
class FusedBatchNorm1d : public Typed<FusedBatchNorm1d, FusedBatchNorm> {
 public:
  explicit FusedBatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Over (N, C, H, W).
class FusedBatchNorm2d : public Typed<FusedBatchNorm2d, FusedBatchNorm> {
 public:
  explicit FusedBatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Over (N, C, D, H, W).
class FusedBatchNorm3d : public Typed<FusedBatchNorm3d, FusedBatchNorm> {
 public:
  explicit FusedBatchNorm3d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
