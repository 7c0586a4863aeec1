#include "gpu.h"

#include "sums.h"
#include "thread_grid.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::BlockSizes;
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
  const Var co("co"), ci("ci");
  const auto arrange = [&](Func f) {
    f.compute_root()
        .bound(r.c, 0, r.grid.domain.C)
        .split(r.c, co, ci, threads_of(r.grid).channels, guarded)
        .reorder(ci, co, r.jl, r.jn)
        .gpu_blocks(co, r.jl, r.jn)
        .gpu_threads(ci);
  };
  r.block.bound(r.jl, 0, r.grid.cuts).bound(r.jn, 0, r.grid.groups);
  arrange(r.block);
  if (threads_of(r.grid).piece > 1) {
    r.block.specialize(aligned(strides, r.grid.domain.L, threads_of(r.grid).piece));
  }
  if (r.pivot.defined()) {
    arrange(r.pivot);
    r.pivot.compute_with(r.block, co);
  }
  sum_in_block(r, r.block, co);
}

/// The merge of each channel's blocks, and the Funcs that use it, in a separate kernel.
void merge(Reduction& r, const std::vector<Func>& of_channels, const Func& kept) {
  const Var co("co");
  for (Func f : of_channels) {
    f.bound(f.args()[0], 0, r.grid.domain.C);  // Halide's own bound is right, but hard to read
  }
  each_channel(of_channels, threads_of(r.grid).channels, co);
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
void make_for_threads(const std::vector<Func>& all, const Written& y, const BlockGrid& grid) {
  if (y.domain.layout == Layout::NCL) {
    each_thread(all, y.f);
    return;
  }
  for (const Func& f : all) {
    if (f.defined()) {
      give_to_threads(f, y);
      keep_in_block(f, y.f, column, grid);
    }
  }
}

/// A kernel of y or dx alone, from Funcs of the channel.
void write_from(const std::vector<Func>& of_channels, const Written& y) {
  BlockGrid grid;
  if (y.domain.layout == Layout::NCL) {
    write_rows(y);
  } else {
    grid = columns_of(y);
    write_blocks(y, grid);
  }
  make_for_threads(of_channels, y, grid);
}

}  // namespace

BlockSizes Gpu::block_sizes(Layout layout, Halide::Type data, bool /*in_double*/) const {
  const bool along_rows = layout == Layout::NCL;
  // A device should run all blocks at once; more blocks take the same time again. In NLC there are
  // fewer and larger blocks, because each block of y merges them for all its channels.
  const int threads = along_rows || on_opencl() ? 256 : 512;
  const int channels = along_rows ? 1 : channels_of(data);
  const int width = along_rows ? warp : 8;
  const ThreadGrid grid{.width = width,
                        .warps = threads / channels / width,
                        .unroll = unroll_of(data),
                        .piece = along_rows ? vector_of(data) : 1,
                        .channels = channels,
                        .warp_shuffle = shuffles(layout)};
  const int step = threads / channels * grid.unroll;
  return {.block_values = step,
          .min_rows = step,
          .in_double = true,
          .shift_by_first = data.bytes() < 8,
          .device = sums_by(grid),
          .blocks = along_rows ? 512 : 256,
          .most_in_channel = along_rows ? 512 : 128};
}

Written Gpu::written(const Normalize& s, const Domain& d) const {
  // relu(NaN) needs a strict comparison, which Halide 21 does not have for vectors in OpenCL.
  return {s.y, s.l, s.c, s.n, d, s.y.types()[0], strides_, !(s.rectifies && on_opencl())};
}

Written Gpu::written(const InputGradient& g, const Domain& d) const {
  constexpr int rows = 2;  // of two or three tensors; a, b and d need registers too
  return {g.dx, g.l, g.c, g.n, d, g.dx.types()[0], strides_, true, rows};
}

void Gpu::finish(const Normalize& s, const Written& y, const BlockGrid& grid,
                 const PerChannel& statistics) {
  keep_in_block(s.invstd, y.f, column, grid);
  make_for_threads({s.origin, s.scale, s.offset}, y, grid);
  write_channels(statistics, y, grid);
}

void Gpu::finish(const InputGradient& g, const Written& dx, const BlockGrid& grid,
                 const PerChannel& gradients) {
  make_for_threads({g.origin, g.a, g.b, g.d, g.a_low}, dx, grid);
  write_channels(gradients, dx, grid);
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
void Gpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  sum_blocks(m, strides_);
  const Written y = written(s, m.grid.domain);
  write_blocks(y, m.grid);
  merge_in_block(m, m.total, s.y, column);
  finish(s, y, m.grid, statistics);
}

/// One launch. NCL: as many threads as a row has vectors. NLC: about 480 blocks of few channels.
///
///     NCL  block tile: thread (down, across)
///            offset, origin, scale; for again: 4 rows of a vector: y
///     NLC  block (below, column)
///            thread c: offset, origin, scale
///            thread (down, across): its channels' values in registers; for n: 4 rows: y
void Gpu::elementwise(Normalize& s, const Domain& d) const {
  write_from({s.origin, s.scale, s.offset}, written(s, d));
}

/// The first launch of train(), then a launch with a block for each channel (NLC: for the channels
/// of a block): partial, shared_partial, warp, all, total, and mean and m2.
void Gpu::moments(Reduction& m, const PerChannel& statistics) const {
  sum_blocks(m, strides_);
  merge(m, statistics, m.total);
}

/// The two launches of train() with the sums of two tensors. Each thread writes dx in
/// two rows at once.
void Gpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  Reduction& r = s.about_center;
  sum_blocks(r, strides_);
  const Written dx = written(g, r.grid.domain);
  write_blocks(dx, r.grid);
  merge_in_block(r, r.merged, g.dx, column);
  finish(g, dx, r.grid, gradients);
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
void Gpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  write_from({g.origin, g.a, g.b, g.d, g.a_low}, written(g, d));
}

/// One launch: block: each thread: for n: for l: dx of two rows.
void Gpu::rectified(algorithm::Rectified& r, const Domain& d) const {
  write_from({}, {r.dx, r.l, r.c, r.n, d, r.dx.types()[0], strides_});
}

/// One launch with a thread for each channel.
void Gpu::per_channel(const PerChannel& outputs) const {
  each_channel(outputs, channel_threads, Var("co"));
}

}  // namespace halnorm::schedule
