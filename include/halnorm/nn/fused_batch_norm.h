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

/// The gradients with respect to the two inputs of a FusedBatchNorm1d.
struct FusedGradients {
  Tensor dx;
  Tensor daddend;  ///< undefined if the forward had no addend
};

/// y = relu(batch_norm(x) + addend) over (N, C) or (N, C, L); without an addend
/// relu(batch_norm(x)). Everything else is as in BatchNorm1d, whose state dictionary it reads and
/// writes.
///
/// Hooks see x and y, and not the addend. Until their backward, leave the elements of x, of the
/// weight and of y alone: where y is 0 no gradient passes.
class FusedBatchNorm1d : public BatchNorm {
 public:
  explicit FusedBatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {});

  using Module::operator();
  /// Pre-hooks, forward, hooks: forward(x) without an addend, otherwise forward(x, addend).
  /// `addend`: x's shape and dtype, or undefined for none. `out`, if defined, receives the result;
  /// it may be x or addend. The result of a subclass is copied to it.
  Tensor operator()(const Tensor& x, const Tensor& addend, const Tensor& out = {});
  Tensor forward(const Tensor& x) override;
  virtual Tensor forward(const Tensor& x, const Tensor& addend);

  /// Of the latest forward that was not yet differentiated, as backward(), which returns dx alone.
  FusedGradients backward_fused(const Tensor& grad_output);

 protected:
  void check_input_dim(const Tensor& x) const override;
  Tensor forward_into(const Tensor& x, const Tensor& out) override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;

 private:
  Tensor forward_into(const Tensor& x, const Tensor& addend, const Tensor& out);
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
