#pragma once

#include <memory>
#include <vector>

#include "../algorithm/gradients.h"
#include "../algorithm/moments.h"
#include "../algorithm/normalize.h"

namespace halnorm::schedule {

/// The outputs of a kernel that hold one value per channel.
using PerChannel = std::vector<Halide::Func>;

/// The constants of a schedule that can be set from outside, as the generators' `tune_` parameters,
/// without changing a result's bits. 0 stands for the architecture's own value.
struct Tuning {
  int task_elements = 0;
  int strip_vectors = 0;
  int near_elements = 0;
  int cached_bytes = 0;
};

/// Steps in elements, which a schedule must know to tell which vectors are aligned, or dense.
struct Strides {
  std::vector<Halide::Expr> rows;      ///< from each row of the data to the next
  std::vector<Halide::Expr> channels;  ///< between the values of each per-channel input
};

/// How the operations run on one architecture. A new architecture is one class in one file, and one
/// line in make().
class Schedule {
 public:
  virtual ~Schedule() = default;

  /// The block sizes that suit the architecture's registers and caches, within what accuracy
  /// allows; `in_double`, for sums that are double from the first addition on.
  [[nodiscard]] virtual algorithm::BlockSizes block_sizes(algorithm::Layout layout,
                                                          Halide::Type data,
                                                          bool in_double) const = 0;

  /// Statistics, then y, in one kernel. `statistics` are the kernel's per-channel outputs.
  virtual void train(algorithm::Reduction& m, algorithm::Normalize& s,
                     const PerChannel& statistics) const = 0;
  /// y from given statistics.
  virtual void elementwise(algorithm::Normalize& s, const algorithm::Domain& domain) const = 0;
  /// Statistics alone.
  virtual void moments(algorithm::Reduction& m, const PerChannel& statistics) const = 0;
  /// The sums of a backward pass, then dx, in one kernel.
  virtual void backward(algorithm::GradientSums& s, algorithm::InputGradient& g,
                        const PerChannel& gradients) const = 0;
  /// The sums alone.
  virtual void backward_reduce(algorithm::GradientSums& s, const PerChannel& sums) const = 0;
  /// dx from given sums.
  virtual void backward_elementwise(algorithm::InputGradient& g,
                                    const algorithm::Domain& domain) const = 0;
  /// A handful of per-channel outputs.
  virtual void per_channel(const PerChannel& outputs) const = 0;
};

/// The one place that chooses an architecture. `gpu_lanes`: on CUDA the partial sums of a warp meet
/// by shuffles.
std::unique_ptr<Schedule> make(const Halide::Target& target, const Tuning& tuning,
                               const Strides& strides, bool gpu_lanes = false);

/// train() and backward() for few values. On a device one launch, for channels of so few that a
/// block of threads can walk all of a channel's twice; on a CPU one loop, for channels innermost.
std::unique_ptr<Schedule> make_small(const Halide::Target& target, const Strides& strides,
                                     bool gpu_lanes);

/// The architecture's block sizes, which belong to the algorithm, and no directives: what Halide's
/// autoschedulers start from.
std::unique_ptr<Schedule> left_to_halide(const Halide::Target& target);

}  // namespace halnorm::schedule
