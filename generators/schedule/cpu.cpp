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

namespace {

constexpr int value_or(int tuned, int otherwise) { return tuned != 0 ? tuned : otherwise; }

/// A block's sums in registers, NCL.
void sum_in_lanes(Reduction& r, const LoopLevel& at) {
  auto& b = r.part;
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

/// The blocks of a task's channels, in the order of memory: channels innermost.
void reduce_channels(Reduction& r, const LoopLevel& at) {
  r.merged.compute_at(at);
  if (r.total.defined()) {
    r.total.compute_at(at);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y);
  if (r.shift.defined()) {
    r.shift.compute_at(at);
  }
  sum_in_lanes(r, LoopLevel(r.merged, r.c));
}

}  // namespace

void sum_in_columns(Reduction& r, const LoopLevel& at) {
  auto& b = r.part;
  const int width = r.grid.width;
  b.sums.compute_at(at).vectorize(b.c, width, guarded);
  b.sums.update(0).reorder(b.c, b.across.x).vectorize(b.c, width, guarded);
  b.unrolled.compute_at(b.sums, b.c);
  b.sums.update(1).reorder(b.c, b.tail.x).vectorize(b.c, width, guarded);
}

std::vector<Func> coefficients_of(const InputGradient& g) {
  std::vector<Func> all;
  for (const Func& f : {g.center, g.a, g.b, g.d, g.a_low}) {
    if (f.defined()) {
      all.push_back(f);
    }
  }
  return all;
}

void in_vectors(Func f, int width, const Strides& strides) {
  f.vectorize(f.args()[0], width, guarded);
  if (strides.channels.empty()) {
    return;
  }
  Expr dense = strides.channels.front() == 1;
  for (const Expr& step : strides.channels) {
    dense = dense && step == 1;
  }
  f.specialize(dense);
}

Cpu::Cpu(const Halide::Target& target, const Tuning& tuned, const Tuning& own, Strides strides)
    : target_(target),
      tuning_{.grain_size = value_or(tuned.grain_size, own.grain_size),
              .channel_tile = value_or(tuned.channel_tile, own.channel_tile),
              .chunk_elements = value_or(tuned.chunk_elements, own.chunk_elements),
              .l2_bytes = value_or(tuned.l2_bytes, own.l2_bytes)},
      strides_(std::move(strides)) {}

/// Blocks of whole rows in parallel, then a short serial merge. Several rows are summed in
/// registers before they are added to the block's sums. Each row is read from end to end, which the
/// hardware prefetcher follows.
void Cpu::reduce_rows(Reduction& r) const {
  const Var co("co"), ci("ci"), task("task");
  const int width = r.grid.width;
  const Expr tile = channel_tile_of(r.grid.domain, width);
  r.merged.compute_root().vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    r.total.compute_root().vectorize(r.c, width, guarded);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y).vectorize(r.c, width, guarded);
  r.block.compute_root()
      .split(r.c, co, ci, tile, guarded)
      .vectorize(ci, width, guarded)
      .reorder(ci, r.jl, co, r.jn)
      .fuse(co, r.jn, task)
      .parallel(task);
  if (r.shift.defined()) {
    r.shift.compute_root().vectorize(r.c, width, guarded);
  }
  sum_in_columns(r, LoopLevel(r.block, task));
  r.part.unrolled.vectorize(r.part.c);
}

/// Statistics and the pass that uses them. In NCL one parallel region: a task reads its channels
/// again while they are in cache. In NLC two regions, because the channels of a row are neighbours.
/// `bytes` of each element are read twice.
void Cpu::reduce_and_write(Reduction& r, Func y, const Axes& v,
                           const std::vector<Func>& coefficients, const PerChannel& outputs,
                           int bytes) const {
  const Domain& d = r.grid.domain;
  if (d.layout == Layout::NLC) {
    reduce_rows(r);
    for (Func f : coefficients) {
      f.compute_root();
      in_vectors(f, r.grid.width, strides_);
    }
    for (Func f : outputs) {
      f.vectorize(f.args()[0], r.grid.width, guarded);
    }
    write_rows(y, v, d);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(d, bytes);
  write_channels(y, v, d, co, ci, group);
  reduce_channels(r, LoopLevel(y, co));
  for (Func f : coefficients) {
    f.compute_at(y, co);
    in_vectors(f, natural(Halide::Float(64)), strides_);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(loops_of(y, v), co);
  }
}

/// Statistics alone.
void Cpu::reduce_only(Reduction& r, const PerChannel& outputs) const {
  if (r.grid.domain.layout == Layout::NLC) {
    reduce_rows(r);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(r.grid.domain, 0);
  Func first = outputs.front();
  first.split(first.args()[0], co, ci, group, guarded).parallel(co);
  for (size_t i = 1; i < outputs.size(); ++i) {
    Func f = outputs[i];
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(first, co);
  }
  reduce_channels(r, LoopLevel(first, co));
}

void Cpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  const Axes axes = axes_of({s.l, s.c, s.n, s.cache_lines}, m.grid.domain);
  write_wide_rows(s.y, axes, m.grid.domain);
  reduce_and_write(m, s.y, axes, {s.invstd, s.center, s.scale, s.offset}, statistics,
                   s.y.types()[0].bytes());
}

void Cpu::elementwise(Normalize& s, const Domain& d) const {
  const Axes axes = axes_of({s.l, s.c, s.n, s.cache_lines}, d);
  write_wide_rows(s.y, axes, d);
  write_only(s.y, axes, d, {s.invstd, s.center, s.scale, s.offset});
}

void Cpu::moments(Reduction& m, const PerChannel& statistics) const { reduce_only(m, statistics); }

void Cpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Axes axes = axes_of({g.l, g.c, g.n, g.cache_lines}, s.about_center.grid.domain);
  write_wide_rows(g.dx, axes, s.about_center.grid.domain);
  std::vector<Func> all = coefficients_of(g);
  all.push_back(s.center);
  reduce_and_write(s.about_center, g.dx, axes, all, gradients, 2 * g.dx.types()[0].bytes());
}

void Cpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums);
}

void Cpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  const Axes axes = axes_of({g.l, g.c, g.n, g.cache_lines}, d);
  write_wide_rows(g.dx, axes, d);
  write_only(g.dx, axes, d, coefficients_of(g));
}

void Cpu::rectified(algorithm::Rectified& r, const Domain& d) const {
  const Axes axes = axes_of({r.l, r.c, r.n, r.cache_lines}, d);
  write_wide_rows(r.dx, axes, d);
  write_only(r.dx, axes, d, {});
}

void Cpu::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], natural(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
