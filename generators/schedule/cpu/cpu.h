#pragma once

#include "vector_sums.h"

namespace halnorm::schedule {

// Every split of an output is guarded, never shifted inwards. An output may be its own input, and
// an element that is computed twice would be normalized twice.
inline constexpr auto guarded = Halide::TailStrategy::GuardWithIf;

/// The blocks of a task's channels, NCL, in the order of memory: channels innermost.
void reduce_channels(algorithm::Reduction& r, const Halide::LoopLevel& at);

/// The sums of a block over its rows, one tile of channels after the other, NLC.
void sum_in_columns(VectorSums& b, const Halide::LoopLevel& at);

/// A Func of the channel in whole vectors. It gathers only if an input has gaps or one value for
/// all channels.
void in_vectors(Halide::Func f, int width, const Strides& strides);

/// With fixed statistics dx is a multiple of dy, and the other coefficients do not exist.
std::vector<Halide::Func> coefficients_of(const algorithm::InputGradient& g);

/// The common part of all CPUs: the cut of a kernel into tasks for the cores, and the sums of a
/// task. Each architecture has its own sizes and its own loops that write.
class Cpu : public Schedule {
 public:
  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(
      const algorithm::Domain& domain, const SumOptions& options) const final;
  void train(algorithm::Reduction& m, algorithm::Normalize& s, const Output& y,
             const PerChannel& statistics) const final;
  void elementwise(algorithm::Normalize& s, const Output& y) const final;
  void moments(algorithm::Reduction& m, const PerChannel& statistics) const final;
  void backward(algorithm::GradientSums& s, algorithm::InputGradient& g, const Output& dx,
                const PerChannel& gradients) const final;
  void backward_reduce(algorithm::GradientSums& s, const PerChannel& sums) const final;
  void backward_elementwise(algorithm::InputGradient& g, const Output& dx) const final;
  void rectified(const Output& dx) const final;
  void per_channel(const PerChannel& outputs) const final;

 protected:
  /// `tuned` if it is set, otherwise `own`.
  Cpu(const Halide::Target& target, const Tuning& tuned, const Tuning& own, Strides strides);

  [[nodiscard]] virtual BlockSizes block_sizes(algorithm::Layout layout,
                                               const SumOptions& options) const = 0;
  /// The elements of data in one step of an innermost loop.
  [[nodiscard]] virtual int step_of(Halide::Type data) const = 0;
  /// The loop along a row of y, NCL. The remaining loop keeps the name l.
  virtual void write_along(Halide::Stage y, const Halide::Var& l,
                           const Halide::Type& data) const = 0;
  /// The loops over channels and a task's rows, NLC. The remaining loops keep the names c and n.
  virtual void write_across(Halide::Stage y, const Halide::Var& c, const Halide::Var& n,
                            const Halide::Type& data) const = 0;

  [[nodiscard]] const Tuning& tuning() const { return tuning_; }
  [[nodiscard]] int natural(Halide::Type t) const { return target_.natural_vector_size(t); }

 private:
  [[nodiscard]] static Halide::Stage loops_of(const Output& y);
  [[nodiscard]] static Halide::VarOrRVar innermost(const Output& y);
  [[nodiscard]] Halide::Expr channels_per_task(const algorithm::Domain& d, int bytes) const;
  [[nodiscard]] Halide::Expr rows_per_task(const algorithm::Domain& d) const;
  [[nodiscard]] Halide::Expr channel_tile_of(const algorithm::Domain& d, int width) const;
  void reduce_rows(algorithm::Reduction& r) const;
  void write_row(Halide::Stage loops, const Output& y) const;
  void write_channels(const Output& y, const Halide::Var& co, const Halide::Var& ci,
                      const Halide::Expr& group) const;
  void write_rows(const Output& y) const;
  void write_wide_rows(const Output& y) const;
  void write_only(const Output& y, const std::vector<Halide::Func>& coefficients) const;
  void reduce_and_write(algorithm::Reduction& r, const Output& y,
                        const std::vector<Halide::Func>& coefficients, const PerChannel& outputs,
                        int bytes) const;
  void reduce_only(algorithm::Reduction& r, const PerChannel& outputs) const;

  Halide::Target target_;
  Tuning tuning_;
  Strides strides_;
};

}  // namespace halnorm::schedule
