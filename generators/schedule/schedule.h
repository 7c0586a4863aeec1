#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "../algorithm/gradients.h"
#include "../algorithm/moments.h"
#include "../algorithm/normalize.h"

namespace halnorm::schedule {

/// The outputs of a kernel with one value per channel.
using PerChannel = std::vector<Halide::Func>;

/// The output of the data, y or dx, for its schedule.
struct Output {
  Output() = default;
  Output(const Halide::Func& output, algorithm::Domain extents)
      : f(output),
        domain(std::move(extents)),
        l(output.args().front()),
        c(output.args().rbegin()[1]),
        n(output.args().back()) {}

  [[nodiscard]] Halide::Type type() const { return f.types()[0]; }

  Halide::Func f;  ///< (l, c, n) or (c, n)
  algorithm::Domain domain{};
  Halide::Var l, c, n;  ///< l: only in NCL
  Halide::RDom lines;   ///< if f is written in cache lines: see aligned_output.h
};

/// The constants of a schedule that parameters of the generators set, for ./dev tune. 0 means the
/// architecture's own value. Those of sums change the order of additions, and so the bits of a
/// result; the others do not.
struct Tuning {
  int grain_size = 0;
  int channel_tile = 0;
  int chunk_elements = 0;
  int l2_bytes = 0;
  int sum_vectors = 0;  ///< BlockSizes::lanes, NCL
  int sum_rows = 0;     ///< BlockSizes::lanes, NLC
  int block_rows = 0;   ///< BlockSizes::max_rows, NLC
  // Devices.
  int block_threads = 0;  ///< the threads of a block
  int grid_blocks = 0;    ///< the most blocks of a launch that sums, or that writes in NLC
  int unroll = 0;         ///< the loads of a thread that are in flight at once
  int thread_rows = 0;    ///< the rows that a thread writes
};

/// `tuned` if it is set, otherwise `own`.
constexpr int value_or(int tuned, int own) { return tuned != 0 ? tuned : own; }

/// The sums of a kernel, for the choice of blocks.
struct SumOptions {
  Halide::Type data;
  int tensors = 1;         ///< of a term; they share the registers
  bool in_double = false;  ///< sums are double from the first addition on
  bool whole = false;      ///< a channel is one block, for any number of rows
};

/// Strides in elements. A schedule needs them to know which vectors are aligned or contiguous.
struct Strides {
  std::vector<Halide::Expr> rows;      ///< between the rows of each data buffer
  std::vector<Halide::Expr> channels;  ///< between the values of each per-channel input
};

/// The schedules of operations that sum and then write in one kernel. The schedules for few values
/// have only these, so that no other operation can have one without directives.
class ReducingSchedule {
 public:
  virtual ~ReducingSchedule() = default;

  /// The sums, in blocks for the architecture's registers and caches, within the limits of
  /// accuracy.
  [[nodiscard]] virtual std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const = 0;

  /// Statistics, then y. `statistics` are the per-channel outputs.
  virtual void train(algorithm::Reduction& m, algorithm::Normalize& s, const Output& y,
                     const PerChannel& statistics) const = 0;
  /// The sums of a backward pass, then dx.
  virtual void backward(algorithm::GradientSums& s, algorithm::InputGradient& g, const Output& dx,
                        const PerChannel& gradients) const = 0;
};

/// The schedules of all operations for one architecture. A new architecture is one class in one
/// file, and one line in make().
class Schedule : public ReducingSchedule {
 public:
  /// y from given statistics.
  virtual void elementwise(algorithm::Normalize& s, const Output& y) const = 0;
  /// Statistics alone.
  virtual void moments(algorithm::Reduction& m, const PerChannel& statistics) const = 0;
  /// The sums of a backward pass alone.
  virtual void backward_reduce(algorithm::GradientSums& s, const PerChannel& sums) const = 0;
  /// dx from given sums.
  virtual void backward_elementwise(algorithm::InputGradient& g, const Output& dx) const = 0;
  /// The gradient through relu alone.
  virtual void rectified(const Output& dx) const = 0;
  /// Per-channel outputs alone.
  virtual void per_channel(const PerChannel& outputs) const = 0;
};

/// Chooses the architecture. `warp_shuffle`: on CUDA the partial sums of a warp are added by
/// shuffles.
std::unique_ptr<Schedule> make(const Halide::Target& target, const Tuning& tuning,
                               const Strides& strides, bool warp_shuffle = false);

/// train() and backward() for few values. On a device one launch, for channels whose values one
/// block of threads reads twice. On a CPU one loop, for C innermost.
std::unique_ptr<ReducingSchedule> make_single_pass(const Halide::Target& target,
                                                   const Tuning& tuning, const Strides& strides,
                                                   bool warp_shuffle);

/// The architecture's sums without directives: only for Halide's autoschedulers, which schedule
/// every stage.
std::unique_ptr<Schedule> left_to_halide(const Halide::Target& target);

}  // namespace halnorm::schedule
