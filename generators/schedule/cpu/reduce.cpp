#include "cpu.h"

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::Layout;
using algorithm::Reduction;
using Halide::clamp, Halide::max, Halide::min;
using Halide::Expr, Halide::Func, Halide::LoopLevel, Halide::Var;

namespace {

/// A block's sums in registers, NCL.
void sum_in_lanes(VectorSums& b, const LoopLevel& at) {
  b.sums.compute_at(at);
  b.sums.update(0).atomic().vectorize(b.across);
  b.row_sum.compute_at(b.sums, b.rows.x);
  b.row_sum.update().unscheduled();
  b.sums.update(1).unscheduled();
  b.lanes.compute_at(at).vectorize(b.w).unroll(b.u);
  b.lanes.update(0).reorder(b.w, b.u, b.main.x, b.main.y).vectorize(b.w).unroll(b.u);
  b.lanes.update(1)
      .reorder(b.w, b.vector_tail.x, b.vector_tail.y)
      .vectorize(b.w)
      .unroll(b.vector_tail.x);
}

}  // namespace

/// Channels per task, NCL. They are neighbours, so that a task reads long pieces of memory, and so
/// few that the data of the second read, `bytes` of each element, is still in L2.
Expr Cpu::channels_per_task(const Domain& d, int bytes) const {
  const Expr row = max(d.L, 1), rows = max(d.N, 1);
  Expr most = min(max(tuning_.chunk_elements / row, 1), (d.C + 3) / 4);
  if (bytes > 0) {
    most = min(most, tuning_.l2_bytes / bytes / row / rows);
  }
  return max(most, clamp(tuning_.grain_size / row / rows, 1, 64));
}

/// Channels per tile, NLC: all of them up to a limit, otherwise equal shares in whole vectors. A
/// loop then has at most one vector with a guard, and no empty one, which on AVX-512 costs as much
/// as ten.
Expr Cpu::channel_tile_of(const Domain& d, int width) const {
  const Expr vectors = max((d.C + width - 1) / width, 1);
  const Expr tiles = (vectors + tuning_.channel_tile - 1) / tuning_.channel_tile;
  return (vectors + tiles - 1) / tiles * width;
}

/// In the loop over tasks:
///
///     for c: shift; merged = 0
///     for jn: for jl: for c                           memory order: a row's blocks of all channels
///       lanes = 0                                     vectors of partial sums, in registers
///       for row of the block: for step: lanes += the vectors of a step    (main)
///       for row of the block: lanes += the vectors after the last step    (vector_tail)
///       sums = lanes across all vectors
///       for row without a whole vector: sums += row_sum, value by value   (scalar_tail)
///       merged += sums                                in double
///     for c: total
void reduce_channels(Reduction& r, const LoopLevel& at) {
  VectorSums& b = vector_sums_of(r);
  r.merged.compute_at(at);
  if (r.total.defined()) {
    r.total.compute_at(at);
  }
  r.merged.update().reorder(r.c, b.order.x, b.order.y);
  if (r.shift.defined()) {
    r.shift.compute_at(at);
  }
  sum_in_lanes(b, LoopLevel(r.merged, r.c));
}

void sum_in_columns(VectorSums& b, const LoopLevel& at) {
  const int width = b.sizes.width;
  const auto tail = b.sizes.slow_masks ? Halide::TailStrategy::PredicateLoads : guarded;
  b.sums.compute_at(at).vectorize(b.c, width, tail);
  b.sums.update(0).reorder(b.c, b.across.x).vectorize(b.c, width, tail);
  b.sums.update(1).reorder(b.c, b.tail.x).vectorize(b.c, width, tail);
  if (b.unrolled.defined()) {
    b.unrolled.compute_at(b.sums, b.c);
  }
}

/// Blocks of whole rows in parallel, then a short serial merge:
///
///     for c in vectors: shift
///     parallel task: (a tile of channels co, a block of rows jn)
///       for c in vectors: sums = 0
///       for group of rows: for c in vectors
///         sums += the terms of the group's rows       added in registers
///       for row after the last group: for c in vectors: sums += its terms
///       for c in vectors: block = sums                in double
///     for c in vectors: merged = 0
///     for jn: for c in vectors: merged += block
///     for c in vectors: total
///
/// Each row is read from end to end, which the hardware prefetcher follows. A tile's sums stay in
/// L1 (channel_tile in x86.cpp has the figures).
void Cpu::reduce_rows(Reduction& r) const {
  const Var co("co"), ci("ci"), task("task");
  VectorSums& b = vector_sums_of(r);
  const int width = b.sizes.width;
  const Expr tile = channel_tile_of(r.domain(), width);
  r.merged.compute_root().vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    r.total.compute_root().vectorize(r.c, width, guarded);
  }
  r.merged.update().reorder(r.c, b.order.x, b.order.y).vectorize(r.c, width, guarded);
  r.block.compute_root()
      .split(r.c, co, ci, tile, guarded)
      .vectorize(ci, width, guarded)
      .reorder(ci, r.jl, co, r.jn)
      .fuse(co, r.jn, task)
      .parallel(task);
  if (r.shift.defined()) {
    r.shift.compute_root().vectorize(r.c, width, guarded);
  }
  sum_in_columns(b, LoopLevel(r.block, task));
  if (b.unrolled.defined()) {
    b.unrolled.vectorize(b.c);
  }
}

/// Statistics alone.
void Cpu::reduce_only(Reduction& r, const PerChannel& outputs) const {
  if (r.domain().layout == Layout::NLC) {
    reduce_rows(r);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(r.domain(), 0);
  Func first = outputs.front();
  first.split(first.args()[0], co, ci, group, guarded).parallel(co);
  for (size_t i = 1; i < outputs.size(); ++i) {
    Func f = outputs[i];
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(first, co);
  }
  reduce_channels(r, LoopLevel(first, co));
}

}  // namespace halnorm::schedule
