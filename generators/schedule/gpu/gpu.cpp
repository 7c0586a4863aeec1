#include "gpu.h"

#include <algorithm>

#include "sums.h"

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Expr, Halide::Func, Halide::TailStrategy, Halide::Var;

namespace {

// The threads of a block if each has one channel.
constexpr int channel_threads = 128;

constexpr auto guarded = TailStrategy::GuardWithIf;

/// Funcs of the channel that do not call each other, in one kernel with a thread per channel.
void each_channel(const std::vector<Func>& all, int size, const Var& co) {
  const Var ci("ci");
  const Func& first = all.front();
  for (Func f : all) {
    f.compute_root().split(f.args()[0], co, ci, size, guarded).gpu_blocks(co).gpu_threads(ci);
    if (f.name() != first.name()) {
      f.compute_with(first, co);
    }
  }
}

/// The pairs of sums: a block of threads for each block of the data, for one channel or, in NLC,
/// for neighbouring ones.
void sum_blocks(Reduction& r, const std::vector<Expr>& strides) {
  ThreadSums& s = thread_sums_of(r);
  const ThreadGrid& threads = s.blocks.threads;
  const Var co("co"), ci("ci");
  const auto arrange = [&](Func f) {
    f.compute_root()
        .bound(r.c, 0, s.grid.domain.C)
        .split(r.c, co, ci, threads.channels, guarded)
        .reorder(ci, co, r.jl, r.jn)
        .gpu_blocks(co, r.jl, r.jn)
        .gpu_threads(ci);
  };
  r.block.bound(r.jl, 0, s.grid.cuts).bound(r.jn, 0, s.grid.groups);
  arrange(r.block);
  if (threads.piece > 1) {
    r.block.specialize(aligned(strides, s.grid.domain.L, threads.piece));
  }
  if (s.pivot.defined()) {
    arrange(s.pivot);
    s.pivot.compute_with(r.block, co);
  }
  sum_in_block(r, r.block, co);
}

/// The merge of each channel's blocks, and the Funcs that use it, in a separate kernel.
void merge(Reduction& r, const std::vector<Func>& of_channels, const Func& kept) {
  const Var co("co");
  for (Func f : of_channels) {
    f.bound(f.args()[0], 0, r.domain().C);  // Halide's own bound is right, but hard to read
  }
  each_channel(of_channels, thread_sums_of(r).blocks.threads.channels, co);
  merge_in_block(r, kept, of_channels.front(), co);
}

/// Funcs of the channel that a thread computes once for all its elements.
void each_thread(const std::vector<Func>& all, const Func& y) {
  for (Func f : all) {
    if (f.defined()) {
      f.compute_at(y, Var("across")).unroll(f.args()[0]);
    }
  }
}

/// Funcs of the channel in a block of threads. In NCL each thread computes them for its channel. In
/// NLC the block computes them, and each thread keeps those of its channels in registers.
void make_for_threads(const std::vector<Func>& all, const Written& y, const ThreadBlocks& blocks) {
  if (y.domain.layout == Layout::NCL) {
    each_thread(all, y.f);
    return;
  }
  for (const Func& f : all) {
    if (f.defined()) {
      give_to_threads(f, y);
      keep_in_block(f, y.f, column, blocks);
    }
  }
}

/// A kernel of y or dx alone, from Funcs of the channel.
void write_from(const std::vector<Func>& of_channels, const Written& y) {
  if (y.domain.layout == Layout::NCL) {
    write_rows(y);
    each_thread(of_channels, y.f);
    return;
  }
  const ThreadBlocks columns = columns_of(y);
  write_blocks(y, columns);
  make_for_threads(of_channels, y, columns);
}

}  // namespace

std::unique_ptr<algorithm::Summation> Gpu::summation(const Domain& domain,
                                                     const SumOptions& options) const {
  const bool along_rows = domain.layout == Layout::NCL;
  // A device should run all blocks at once; more blocks take the same time again. In NLC there are
  // fewer and larger blocks, because each block of y merges them for all its channels.
  const int threads = value_or(tuning_.block_threads, along_rows || on_opencl() ? 256 : 512);
  const int channels = along_rows ? 1 : channels_of(options.data);
  const int width = along_rows ? warp : 8;
  const int unroll = value_or(tuning_.unroll, unroll_of(options.data));
  const int piece = along_rows ? vector_of(options.data) : 1;
  const ThreadGrid grid{.width = width,
                        .warps = threads / channels / width,
                        .unroll = std::max(unroll / options.tensors, piece),
                        .piece = piece,
                        .channels = channels,
                        .warp_shuffle = shuffles(domain.layout)};
  const int blocks = value_or(tuning_.grid_blocks, along_rows ? 512 : 256);
  const BlockLimits limits{.blocks = blocks,
                           .most_in_channel = along_rows ? blocks : std::max(blocks / 2, 1),
                           .min_values = threads / channels * unroll};
  return std::make_unique<ThreadSums>(ThreadBlocks(domain, grid, limits));
}

Written Gpu::written(const Output& f, int rows) const {
  constexpr int threads = 256;  // every device supports this number
  constexpr int blocks = 480;   // with a sixteenth more, an H100 still runs all at once
  return {f, strides_, value_or(tuning_.thread_rows, rows),
          value_or(tuning_.block_threads, threads), value_or(tuning_.grid_blocks, blocks)};
}

Written Gpu::written_y(const Normalize& s, const Output& y) const {
  Written all = written(y, 4);
  // relu(NaN) needs a strict comparison, which Halide 21 does not have for vectors in OpenCL.
  all.vectors = !(s.rectifies && on_opencl());
  return all;
}

Written Gpu::written_dx(const Output& dx) const {
  return written(dx, 2);  // of two or three tensors; a, b and d need registers too
}

void Gpu::finish(const Normalize& s, const Written& y, const ThreadBlocks& blocks,
                 const PerChannel& statistics) {
  keep_in_block(s.invstd, y.f, column, blocks);
  make_for_threads({s.origin, s.scale, s.offset}, y, blocks);
  write_channels(statistics, y, blocks);
}

void Gpu::finish(const InputGradient& g, const Written& dx, const ThreadBlocks& blocks,
                 const PerChannel& gradients) {
  make_for_threads({g.origin, g.a, g.b, g.d, g.a_low}, dx, blocks);
  write_channels(gradients, dx, blocks);
}

/// Two launches. NCL, with 8 warps of 32 threads in a block:
///
///     block (jn, jl, c)                               the kernel of `block`
///       each thread of warp g: path, shift; for main: unroll values: thread_sum; for tail
///       CUDA: shuffled over 16, 8, 4, 2 lanes; shared_sum of the last two
///       one thread per warp: warp; one thread: all, sums, block, pivot
///     block (below, along, column)                    the kernel of y, with the same grid
///       each thread: for turns: partial of the channel's blocks; shared_partial
///       one thread per warp: warp; one thread: all, total, invstd_of_channel
///       each thread: offset, origin, scale; for n: for l: 4 rows of a vector: y
///       one thread: invstd, m2, mean                  the first block of a channel
///
/// NLC: a block has the channels of one memory access, `t` is a thread of a channel:
///
///     block (jn, co): thread (t, c): path, shift, thread_sum, shared_sum; then warp, all, sums
///     block (below, column): thread (t, c): partial, shared_partial; then warp, all, total
///       thread c: invstd_of_channel, offset, origin, scale
///       thread (down, across): its channels' values in registers; for n: 4 rows of a vector: y
///
/// Each kernel has a second form for rows without vectors. Two launches instead of three, because
/// each block of y merges the blocks of its channels itself (docs/performance.md).
void Gpu::train(Reduction& m, Normalize& s, const Output& y, const PerChannel& statistics) const {
  const ThreadBlocks& blocks = thread_sums_of(m).blocks;
  const Written written = written_y(s, y);
  sum_blocks(m, strides_);
  write_blocks(written, blocks);
  merge_in_block(m, m.total, y.f, column);
  finish(s, written, blocks, statistics);
}

/// One launch. NCL: as many threads as a row has vectors. NLC: about 480 blocks of few channels.
///
///     NCL  block tile: thread (down, across)
///            offset, origin, scale; for again: 4 rows of a vector: y
///     NLC  block (below, column)
///            thread c: offset, origin, scale
///            thread (down, across): its channels' values in registers; for n: 4 rows: y
void Gpu::elementwise(Normalize& s, const Output& y) const {
  write_from({s.origin, s.scale, s.offset}, written_y(s, y));
}

/// The first launch of train(), then a launch with a block for each channel (NLC: for the channels
/// of a block): partial, shared_partial, warp, all, total, and mean and m2.
void Gpu::moments(Reduction& m, const PerChannel& statistics) const {
  sum_blocks(m, strides_);
  merge(m, statistics, m.total);
}

/// The two launches of train() with the sums of two tensors. Each thread writes dx in
/// two rows at once.
void Gpu::backward(GradientSums& s, InputGradient& g, const Output& dx,
                   const PerChannel& gradients) const {
  Reduction& r = s.about_center;
  const ThreadBlocks& blocks = thread_sums_of(r).blocks;
  const Written written = written_dx(dx);
  sum_blocks(r, strides_);
  write_blocks(written, blocks);
  merge_in_block(r, r.merged, dx.f, column);
  finish(g, written, blocks, gradients);
}

/// The first launch of backward(), then a launch with a block for each channel (NLC: for the
/// channels of a block): partial, shared_partial, warp, all, and both sums.
void Gpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  sum_blocks(s.about_center, strides_);
  merge(s.about_center, sums, s.about_center.merged);
}

/// One launch:
///
///     block (of channels and rows)
///       origin, a, b, d, a_low: per thread, or in NLC once per channel of the block
///       each thread: for n: for l: dx of two rows
void Gpu::backward_elementwise(InputGradient& g, const Output& dx) const {
  write_from({g.origin, g.a, g.b, g.d, g.a_low}, written_dx(dx));
}

/// One launch: block: each thread: for n: for l: dx of two rows.
void Gpu::rectified(const Output& dx) const { write_from({}, written(dx, 4)); }

/// One launch with a thread for each channel.
void Gpu::per_channel(const PerChannel& outputs) const {
  each_channel(outputs, channel_threads, Var("co"));
}

}  // namespace halnorm::schedule
