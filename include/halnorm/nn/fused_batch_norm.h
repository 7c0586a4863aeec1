#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/nn/batch_norm.h"

/// @file
/// Batch normalization with the addition and the relu that follow it in a residual block. Formulas:
/// halnorm/functional_fused.h.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

/// The gradients with respect to the two inputs of a fused layer.
struct FusedGradients {
  Tensor dx;       ///< x's shape and dtype
  Tensor daddend;  ///< undefined if the forward had no addend
};

/// The base class of FusedBatchNorm1d, 2d and 3d: y = relu(batch_norm(x) + addend); without an
/// addend y = relu(batch_norm(x)). Everything else is as in BatchNorm1d, 2d and 3d. The state
/// dictionaries of the fused and the plain classes are interchangeable.
///
/// Hooks receive x and y, but not the addend. Do not change the elements of x, weight and y before
/// their backward, which reads them again: a gradient passes where y > 0.
///
/// With a slope it is a leaky relu, relu(v) = v < 0 ? slope * v : v, as in many detection networks.
class FusedBatchNorm : public BatchNorm {
 public:
  using Module::operator();
  /// Pre-hooks, forward, hooks: forward(x) without an addend, otherwise forward(x, addend).
  /// `addend`: x's shape and dtype, or undefined for none. `out`, if defined, receives the result;
  /// it may be x or addend. The result of a subclass is copied to it.
  Tensor operator()(const Tensor& x, const Tensor& addend, const Tensor& out = {});
  /// The same in eval mode without a record; see Module::operator()() const.
  Tensor operator()(const Tensor& x, const Tensor& addend, const Tensor& out = {}) const;
  Tensor forward(const Tensor& x) override;
  /// The computation without hooks; an undefined addend means none.
  virtual Tensor forward(const Tensor& x, const Tensor& addend);

  /// backward() that returns the addend's gradient too.
  FusedGradients backward_fused(const Tensor& grad_output);

  [[nodiscard]] double slope() const noexcept { return slope_; }  ///< of relu below 0
  /// From the next forward on. @throws ValueError unless finite and at least 0.
  void set_slope(double slope);
  [[nodiscard]] std::string extra_repr() const override;

 protected:
  /// @throws ValueError as BatchNorm's, and for a slope that set_slope() refuses.
  FusedBatchNorm(const char* class_name, std::int64_t num_features, const BatchNormOptions& options,
                 double slope);

  [[nodiscard]] std::vector<std::string_view> attribute_names() const override;
  void copy_settings(const Module& source) override;
  Tensor forward_into(const Tensor& x, const Tensor& out) override;

 private:
  Tensor forward_into(const Tensor& x, const Tensor& addend, const Tensor& out);

  double slope_;
};

/// y = relu(batch_norm(x) + addend) over (N, C) or (N, C, L).
class FusedBatchNorm1d : public Typed<FusedBatchNorm1d, FusedBatchNorm> {
 public:
  /// @throws ValueError for a negative num_features, an invalid option or slope.
  explicit FusedBatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {},
                            double slope = 0);

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// y = relu(batch_norm(x) + addend) over (N, C, H, W).
class FusedBatchNorm2d : public Typed<FusedBatchNorm2d, FusedBatchNorm> {
 public:
  /// @throws ValueError for a negative num_features, an invalid option or slope.
  explicit FusedBatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {},
                            double slope = 0);

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// y = relu(batch_norm(x) + addend) over (N, C, D, H, W).
class FusedBatchNorm3d : public Typed<FusedBatchNorm3d, FusedBatchNorm> {
 public:
  /// @throws ValueError for a negative num_features, an invalid option or slope.
  explicit FusedBatchNorm3d(std::int64_t num_features, const BatchNormOptions& options = {},
                            double slope = 0);

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
