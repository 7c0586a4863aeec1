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

namespace halnorm::detail {
struct Distribution;
class Terms;
}  // namespace halnorm::detail

#pragma GCC visibility push(default)

namespace halnorm::nn {

struct BatchNormOptions {
  double eps = 1e-5;  ///< added to the variance; 0 lets a constant channel become NaN
  /// Weight of the newest batch in the running statistics, any finite number; none: the plain
  /// average of all batches.
  std::optional<double> momentum = 0.1;
  bool affine = true;               ///< has weight and bias
  bool track_running_stats = true;  ///< has running statistics
};

/// What all batch normalization layers share.
///
/// Statistics: training normalizes with the batch's and moves the running ones; eval normalizes
/// with the running ones, or with the batch's if there are none.
///
/// Gradients: unless a NoGradGuard lives, each forward, in either mode, keeps what its backward
/// needs: its input, weight and bias by handle and its statistics by value. backward() takes the
/// latest forward of the mode that the module is in. Of each mode the latest `max_saved_forwards`
/// are kept, or as many as set_max_saved_forwards() says.
///
/// Threads: as many as like may call an eval-mode module. Without a NoGradGuard the records of
/// their forwards share one stack, in the order the forwards end.
///
/// Global layers (Module::to_global): x is global too, on the same placement. A training forward of
/// a split x normalizes with the statistics of all ranks' parts, as one process would; any split
/// other than split(0) is redistributed to it. An eval forward of split(0) or broadcast exchanges
/// nothing. y and dx are split like x; weight.grad and bias.grad are sums over all ranks.
class BatchNorm : public Module {
 public:
  using Options = BatchNormOptions;
  static constexpr std::size_t max_saved_forwards = 64;

  Parameter weight;            ///< (C), ones; undefined unless affine
  Parameter bias;              ///< (C), zeros; undefined unless affine
  Tensor running_mean;         ///< (C), zeros; undefined unless running statistics are tracked
  Tensor running_var;          ///< (C), ones; likewise
  Tensor num_batches_tracked;  ///< Int64, 0-d: training forwards so far; likewise

  ~BatchNorm() override;

  using Module::operator();
  /// The same, with the result in `out` (x's shape and dtype; may be x), which is returned unless a
  /// hook replaces it. The result of a subclass, which may override forward(x), is copied to `out`
  /// unless the subclass overrides forward_into() too.
  Tensor operator()(const Tensor& x, const Tensor& out);
  Tensor operator()(const Tensor& x, const Tensor& out) const;  ///< as Module's
  Tensor forward(const Tensor& x) override;

  /// dx; adds to weight.grad and bias.grad where they require it. A floating grad_output of
  /// another dtype is converted. @throws ValueError if no forward is left to differentiate, or if
  /// x, weight or a fused layer's y was written since then; ShapeError, DTypeError or DeviceError
  /// if a gradient cannot be added to. A backward that throws leaves gradients and records as they
  /// were.
  Tensor backward(const Tensor& grad_output) override;

  /// In place: mean 0, variance 1, counter 0; nothing unless statistics are tracked.
  void reset_running_stats();
  /// reset_running_stats(), and if affine weight 1 and bias 0 in place.
  void reset_parameters();

  [[nodiscard]] std::int64_t num_features() const noexcept { return num_features_; }
  [[nodiscard]] double eps() const noexcept { return options_.eps; }
  [[nodiscard]] std::optional<double> momentum() const noexcept { return options_.momentum; }
  [[nodiscard]] bool affine() const noexcept { return options_.affine; }
  [[nodiscard]] bool track_running_stats() const noexcept { return options_.track_running_stats; }

  /// The setters hold from the next forward on.
  /// @throws ValueError unless eps is finite and at least 0.
  void set_eps(double eps);
  /// @throws ValueError unless finite or none.
  void set_momentum(std::optional<double> momentum);
  /// Only says whether reset_parameters() fills weight and bias; forward uses those that are
  /// defined.
  void set_affine(bool affine) noexcept { options_.affine = affine; }
  /// False stops training from moving statistics; eval uses the running ones while they are
  /// defined.
  void set_track_running_stats(bool track) noexcept { options_.track_running_stats = track; }

  /// Eval as y = x * scale + shift, for engines that fold it into another layer: (C) in Float64.
  /// @throws ValueError without running statistics.
  struct ScaleAndShift {
    Tensor scale, shift;
  };
  [[nodiscard]] ScaleAndShift scale_and_shift() const;

  [[nodiscard]] std::string extra_repr() const override;

 protected:
  /// @throws ValueError for a negative num_features, or options that the setters refuse.
  BatchNorm(const char* class_name, std::int64_t num_features, const BatchNormOptions& options);

  /// @throws ShapeError unless the class takes inputs of this rank: `_check_input_dim`.
  virtual void check_input_dim(const Tensor& x) const = 0;

  [[nodiscard]] const BatchNormOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::vector<std::string_view> attribute_names() const override;
  void load_from_state_dict(LoadState& load, const std::string& prefix) override;
  [[nodiscard]] std::int64_t version() const override { return 2; }
  /// BatchNorm1d, 2d and 3d write to `out` themselves. A subclass may override this and call
  /// compute().
  Tensor forward_into(const Tensor& x, const Tensor& out) override;
  void copy_settings(const Module& source) override;
  [[nodiscard]] detail::SavedForwards* saved_forwards() const noexcept override;

  /// What follows the normalization in the same pass: nothing, or y = relu(y + addend).
  struct Epilogue {
    const detail::FusedFunctions* fused = nullptr;  ///< a fused layer's
    Tensor addend;                                  ///< undefined for none
  };
  /// A forward in the module's mode, checked and recorded for its backward.
  Tensor compute(const Tensor& x, const Tensor& out, const Epilogue& epilogue);

  struct InputGradients {
    Tensor dx;
    Tensor daddend;  ///< undefined if the forward had no addend
  };
  /// What backward() does; it returns dx of this.
  InputGradients differentiate_latest(const Tensor& grad_output);

  /// @throws ShapeError unless x has from `least` to `most` axes.
  void check_rank(const Tensor& x, std::int64_t least, std::int64_t most) const;

 private:
  using How = std::shared_ptr<const halnorm::detail::Distribution>;  ///< null for a local forward
  Tensor normalize_by_batch(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                            const How& how = nullptr);
  Tensor normalize_by_running(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                              const How& how = nullptr);
  Tensor compute_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue);
  Tensor normalize_by_all(const Tensor& x, const Tensor& out, const Epilogue& epilogue);
  struct Prepared;
  Prepared prepare_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                          halnorm::detail::Terms& terms) const;
  InputGradients differentiate_global(const Tensor& grad_output);
  void check_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue) const;
  [[noreturn]] void throw_no_forward() const;
  void check_input(const Tensor& x) const;
  void check_statistics() const;
  [[nodiscard]] std::int64_t* counter() const;
  [[nodiscard]] double update_factor(const std::int64_t* counter) const;

  std::int64_t num_features_;
  BatchNormOptions options_;
  std::unique_ptr<detail::SavedForwards> saved_;
};

/// Over (N, C) or (N, C, L).
class BatchNorm1d : public Typed<BatchNorm1d, BatchNorm> {
 public:
  explicit BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Over (N, C, H, W).
class BatchNorm2d : public Typed<BatchNorm2d, BatchNorm> {
 public:
  explicit BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

/// Over (N, C, D, H, W).
class BatchNorm3d : public Typed<BatchNorm3d, BatchNorm> {
 public:
  explicit BatchNorm3d(std::int64_t num_features, const BatchNormOptions& options = {});

 protected:
  void check_input_dim(const Tensor& x) const override;
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override;
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
