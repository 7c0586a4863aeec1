#include "cpu.h"

#include <utility>

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Expr, Halide::Func, Halide::LoopLevel, Halide::Var;

std::vector<Func> coefficients_of(const InputGradient& g) {
  std::vector<Func> all;
  for (const Func& f : {g.center, g.a, g.b, g.d, g.a_low}) {
    if (f.defined()) {
      all.push_back(f);
    }
  }
  return all;
}

Cpu::Cpu(const Halide::Target& target, const Tuning& tuned, const Tuning& own, Strides strides)
    : target_(target),
      tuning_{.grain_size = value_or(tuned.grain_size, own.grain_size),
              .channel_tile = value_or(tuned.channel_tile, own.channel_tile),
              .chunk_elements = value_or(tuned.chunk_elements, own.chunk_elements),
              .l2_bytes = value_or(tuned.l2_bytes, own.l2_bytes),
              .sum_vectors = value_or(tuned.sum_vectors, own.sum_vectors),
              .sum_rows = value_or(tuned.sum_rows, own.sum_rows),
              .block_rows = value_or(tuned.block_rows, own.block_rows)},
      strides_(std::move(strides)) {}

std::unique_ptr<algorithm::Summation> Cpu::summation(const Domain& domain,
                                                     const SumOptions& options) const {
  return std::make_unique<VectorSums>(domain, block_sizes(domain.layout, options), options);
}

/// Statistics and the pass that uses them; `bytes` of each element are read twice. In NCL one
/// parallel region, in which a task reads its channels again while they are in cache. In NLC two
/// regions, because the channels of a row are neighbours: of batch_norm_backward_infer alone.
void Cpu::reduce_and_write(Reduction& r, const Output& y, const std::vector<Func>& coefficients,
                           const PerChannel& outputs, int bytes) const {
  if (y.domain.layout == Layout::NLC) {
    const int width = vector_sums_of(r).sizes.width;
    reduce_rows(r);
    for (Func f : coefficients) {
      f.compute_root().bound(f.args()[0], 0, y.domain.C);
      in_vectors(f, width, strides_);
    }
    for (Func f : outputs) {
      f.vectorize(f.args()[0], width, guarded);
    }
    write_rows(y);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(y.domain, bytes);
  write_channels(y, co, ci, group);
  reduce_channels(r, LoopLevel(y.f, co));
  for (Func f : coefficients) {
    f.compute_at(y.f, co);
    in_vectors(f, natural(Halide::Float(64)), strides_);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(loops_of(y), co);
  }
}

/// NCL, of which the innermost loops are those of reduce_channels() and write_channels():
///
///     parallel task: channels_per_task() channels     its data stay in L2 for the second read
///       for c: shift
///       for jn, for jl, for c: merged += sums         a block of the channel
///       for c: total
///       for c in vectors: invstd, center, offset, scale
///       for n, for c, for l in vectors: y
///       for c: mean, invstd, m2                       compute_with(): no region of their own
///
/// The limit of L2 made training (32, 512, 300) 1550 instead of 2010 us (an Intel Xeon, 1 thread).
void Cpu::train(Reduction& m, Normalize& s, const Output& y, const PerChannel& statistics) const {
  reduce_and_write(m, y, {s.invstd, s.center, s.scale, s.offset}, statistics, y.type().bytes());
}

/// Both layouts; write_only() has the loops of y:
///
///     for c in vectors: center, invstd, offset, scale
///     parallel task: about grain_size elements, at least a row: y
///
/// A nontemporal kernel has the lines of a row as its innermost loop, one line after the other.
void Cpu::elementwise(Normalize& s, const Output& y) const {
  write_wide_rows(y);
  write_only(y, {s.invstd, s.center, s.scale, s.offset});
}

/// NCL: the loops of train() down to total; the task also writes mean and m2 of its channels. NLC,
/// of which the innermost loops are those of reduce_rows():
///
///     for c in vectors: shift
///     parallel task: (a tile of channels, a block of rows): block
///     for c in vectors: merged = 0; for each block, for c in vectors: merged += block
///     for c in vectors: total
///     for c: mean; for c: m2
void Cpu::moments(Reduction& m, const PerChannel& statistics) const { reduce_only(m, statistics); }

/// The loops of train() over two tensors. center, a and a_low do not need the sums:
///
///     NCL  parallel task: channels_per_task() channels
///            for c in vectors: a, a_low, center
///            for jn, for jl, for c: merged += sums    of dy and of dy * (x - center)
///            for c in vectors: b, dx_center, d
///            for n, for c, for l in vectors: dx
///            for c: dweight, dbias
///     NLC  for c in vectors: a, a_low, center          batch_norm_backward_infer alone
///          parallel task: (a tile of channels, a block of rows): block
///          for each block, for c in vectors: merged += block
///          for c in vectors: b, dx_center, d
///          parallel task: rows_per_task() rows: dx
///          for c in vectors: dweight, dbias
///
/// The limit of L2 made backward (16, 128, 784) 710 instead of 1060 us (an Intel Xeon, 1 thread).
void Cpu::backward(GradientSums& s, InputGradient& g, const Output& dx,
                   const PerChannel& gradients) const {
  write_wide_rows(dx);
  std::vector<Func> all = coefficients_of(g);
  all.push_back(s.center);
  reduce_and_write(s.about_center, dx, all, gradients, 2 * dx.type().bytes());
}

/// The loops of backward() down to merged. center is computed first, for all channels.
void Cpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums);
}

/// The loops of elementwise() with the coefficients of dx.
void Cpu::backward_elementwise(InputGradient& g, const Output& dx) const {
  write_wide_rows(dx);
  write_only(dx, coefficients_of(g));
}

/// The loops of elementwise() without coefficients.
void Cpu::rectified(const Output& dx) const {
  write_wide_rows(dx);
  write_only(dx, {});
}

/// One serial loop over c in vectors for each output.
void Cpu::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], natural(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
