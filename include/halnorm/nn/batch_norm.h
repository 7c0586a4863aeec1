#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/nn/module.h"
#include "halnorm/nn/typed.h"

/// @file
/// Batch normalization layers. Formulas, dtypes, strides and threads: halnorm/functional.h.

#pragma GCC visibility push(default)

/// Modules: layers, containers, and their base class Module.
namespace halnorm::HALNORM_ABI::nn {

namespace detail {
class LayerCall;
}  // namespace detail

/// Options of the batch normalization layers.
struct BatchNormOptions {
  double eps = 1e-5;  ///< added to the variance; with 0, a constant channel becomes NaN
  /// The weight of the latest batch in the running statistics, any finite number. None means the
  /// plain average of all batches.
  std::optional<double> momentum = 0.1;
  bool affine = true;               ///< has weight and bias
  bool track_running_stats = true;  ///< has running statistics
};

/// The base class of all batch normalization layers.
///
/// Statistics: in training mode the layer normalizes with the batch statistics and updates the
/// running statistics. In eval mode it normalizes with the running statistics, or with the batch
/// statistics if it has no running ones.
///
/// Gradients: unless a NoGradGuard exists, each forward in either mode keeps a record for its
/// backward: handles on its input, weight and bias, and copies of its statistics. backward() uses
/// the latest record of the module's mode. The module keeps the latest `max_saved_forwards` records
/// of each mode, or the number that set_max_saved_forwards() sets.
///
/// Threads: any number of threads may call a module in eval mode. Without a NoGradGuard their
/// forwards add records to one stack, in the order in which they end.
///
/// Global layers (Module::to_global): x is global too, on the same placement. A training forward of
/// a split x normalizes with the statistics of all ranks' parts, as one process would. An x with
/// another split than split(0) is redistributed to split(0). With running statistics an eval
/// forward of split(0) or broadcast exchanges nothing. y and dx are split like x; weight.grad and
/// bias.grad are sums over all ranks.
class BatchNorm : public Module {
 public:
  using Options = BatchNormOptions;  ///< for ModuleList::emplace()
  /// The default number of records that are kept for each mode.
  static constexpr std::size_t max_saved_forwards = 64;

  Parameter weight;     ///< (C), ones; undefined unless affine
  Parameter bias;       ///< (C), zeros; undefined unless affine
  Tensor running_mean;  ///< (C), zeros; undefined unless running statistics are tracked
  Tensor running_var;   ///< (C), ones; undefined unless running statistics are tracked
  /// Int64, 0-d: the number of training forwards; undefined unless running statistics are tracked.
  Tensor num_batches_tracked;

  ~BatchNorm() override;

  using Module::operator();
  /// Writes the result to `out` (x's shape and dtype; may be x itself) and returns `out`, unless a
  /// hook replaces the result. If a subclass overrides forward(x) and not forward_into(), its
  /// result is copied to `out`.
  Tensor operator()(const Tensor& x, const Tensor& out);
  /// The same in eval mode without a record; see Module::operator()() const.
  Tensor operator()(const Tensor& x, const Tensor& out) const;
  Tensor forward(const Tensor& x) override;

  /// Returns dx, and adds to weight.grad and bias.grad if the parameter requires a gradient. A
  /// grad_output of another floating dtype is converted. If it throws, nothing has changed.
  /// @throws ValueError if there is no record, or if x, weight or a fused layer's y was written
  ///         after its forward; ShapeError, DTypeError or DeviceError if a gradient cannot be
  ///         added.
  Tensor backward(const Tensor& grad_output) override;

  /// Sets running_mean to 0, running_var to 1 and num_batches_tracked to 0 in place, if running
  /// statistics are tracked.
  void reset_running_stats();
  /// reset_running_stats(); if affine, also sets weight to 1 and bias to 0 in place.
  void reset_parameters();

  [[nodiscard]] std::int64_t num_features() const noexcept { return num_features_; }  ///< C
  /// The option of the same name.
  /// @{
  [[nodiscard]] double eps() const noexcept { return options_.eps; }
  [[nodiscard]] std::optional<double> momentum() const noexcept { return options_.momentum; }
  [[nodiscard]] bool affine() const noexcept { return options_.affine; }
  [[nodiscard]] bool track_running_stats() const noexcept { return options_.track_running_stats; }
  /// @}

  /// From the next forward on. @throws ValueError unless eps is finite and at least 0.
  void set_eps(double eps);
  /// From the next forward on. @throws ValueError unless finite or none.
  void set_momentum(std::optional<double> momentum);
  /// Decides only whether reset_parameters() sets weight and bias. A forward uses weight and bias
  /// if they are defined.
  void set_affine(bool affine) noexcept { options_.affine = affine; }
  /// With false, training does not update running statistics. Eval uses them as long as they are
  /// defined.
  void set_track_running_stats(bool track) noexcept { options_.track_running_stats = track; }

  /// The forward in eval mode is y = x * scale + shift.
  struct ScaleAndShift {
    Tensor scale;  ///< (C), Float64
    Tensor shift;  ///< (C), Float64
  };
  /// The coefficients of eval mode, for engines that fold them into another layer.
  /// @throws ValueError without running statistics.
  [[nodiscard]] ScaleAndShift scale_and_shift() const;

  [[nodiscard]] std::string extra_repr() const override;

 protected:
  /// @throws ValueError for a negative num_features, or options that the setters refuse.
  BatchNorm(const char* class_name, std::int64_t num_features, const BatchNormOptions& options);

  /// @throws ShapeError unless the class accepts inputs of x's rank (`_check_input_dim`).
  virtual void check_input_dim(const Tensor& x) const = 0;

  /// All options.
  [[nodiscard]] const BatchNormOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::vector<std::string_view> attribute_names() const override;
  void load_from_state_dict(LoadState& load, const std::string& prefix) override;
  [[nodiscard]] std::int64_t version() const override { return 2; }
  /// Writes to `out` directly. A subclass may override this function and call compute().
  Tensor forward_into(const Tensor& x, const Tensor& out) override;
  void copy_settings(const Module& source) override;

  /// A forward in the module's mode, checked and recorded for its backward.
  Tensor compute(const Tensor& x, const Tensor& out);

  /// The gradients with respect to the inputs.
  struct InputGradients {
    Tensor dx;       ///< x's shape and dtype
    Tensor daddend;  ///< undefined if the forward had no addend
  };
  /// The computation of backward(), which returns dx of the result.
  InputGradients differentiate_latest(const Tensor& grad_output);

  /// @throws ShapeError unless x has from `least` to `most` axes.
  void check_rank(const Tensor& x, std::int64_t least, std::int64_t most) const;

 private:
  friend class detail::LayerCall;

  std::int64_t num_features_;
  BatchNormOptions options_;
};

/// Batch normalization over (N, C) or (N, C, L).
class BatchNorm1d : public Typed<BatchNorm1d, BatchNorm> {
 public:
  /// @throws ValueError for a negative num_features or an invalid option.
  explicit BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Batch normalization over (N, C, H, W).
class BatchNorm2d : public Typed<BatchNorm2d, BatchNorm> {
 public:
  /// @throws ValueError for a negative num_features or an invalid option.
  explicit BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Batch normalization over (N, C, D, H, W).
class BatchNorm3d : public Typed<BatchNorm3d, BatchNorm> {
 public:
  /// @throws ValueError for a negative num_features or an invalid option.
  explicit BatchNorm3d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
