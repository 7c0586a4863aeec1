#include "cpu.h"

#include <utility>

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::clamp, Halide::max, Halide::min;
using Halide::Expr, Halide::Func, Halide::LoopLevel, Halide::Stage, Halide::Var;

namespace {

// Bytes of one coefficient of all channels, of three or four.
constexpr int coefficients_in_l1 = 8192;

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
  b.lanes.update(0).reorder(b.w, b.u, b.full.x, b.full.y).vectorize(b.w).unroll(b.u);
  b.lanes.update(1).reorder(b.w, b.rest.x, b.rest.y).vectorize(b.w).unroll(b.rest.x);
}

/// The blocks of a task's channels: channels innermost, as they lie in memory.
void reduce_channels(Reduction& r, const LoopLevel& at) {
  r.merged.compute_at(at);
  if (r.total.defined()) {
    r.total.compute_at(at);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y);
  const LoopLevel inner(r.merged, r.c);
  if (r.shift.defined()) {
    r.shift.compute_at(inner);
  }
  sum_in_lanes(r, inner);
}

}  // namespace

void sum_in_columns(Reduction& r, const LoopLevel& at) {
  auto& b = r.part;
  const int width = r.grid.width;
  b.sums.compute_at(at).vectorize(b.c, width, guarded);
  b.sums.update(0).reorder(b.c, b.across.x).vectorize(b.c, width, guarded);
  b.together.compute_at(b.sums, b.c);
  b.sums.update(1).reorder(b.c, b.rest.x).vectorize(b.c, width, guarded);
}

std::vector<Func> coefficients_of(const GradientSums& s, const InputGradient& g) {
  std::vector<Func> all{s.center};
  for (const Func& f : {g.center, g.a, g.b, g.d}) {
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
      tuning_{.task_elements = value_or(tuned.task_elements, own.task_elements),
              .strip_vectors = value_or(tuned.strip_vectors, own.strip_vectors),
              .near_elements = value_or(tuned.near_elements, own.near_elements),
              .cached_bytes = value_or(tuned.cached_bytes, own.cached_bytes)},
      strides_(std::move(strides)) {}

/// Channels per task, NCL: neighbours, so that a task reads long pieces of memory, and few enough
/// that what it reads a second time, `bytes` of each element, is still in L2.
Expr Cpu::channels_per_task(const Domain& d, int bytes) const {
  const Expr row = max(d.L, 1), rows = max(d.N, 1);
  Expr most = min(max(tuning_.near_elements / row, 1), (d.C + 3) / 4);
  if (bytes > 0) {
    most = min(most, tuning_.cached_bytes / bytes / row / rows);
  }
  return max(most, clamp(tuning_.task_elements / row / rows, 1, 64));
}

/// Rows per task, NLC.
Expr Cpu::rows_per_task(const Domain& d) const {
  return clamp(tuning_.task_elements / max(d.C, 1), 1, 4096);
}

/// Channels per strip, NLC: all of them up to a limit, else equal shares, in whole vectors: a loop
/// then has at most one vector with a guard, and none that is empty: on AVX-512 that costs as much
/// as ten.
Expr Cpu::strip_of(const Domain& d, int width) const {
  const Expr vectors = max((d.C + width - 1) / width, 1);
  const Expr strips = (vectors + tuning_.strip_vectors - 1) / tuning_.strip_vectors;
  return (vectors + strips - 1) / strips * width;
}

/// Blocks of whole rows in parallel; then a short serial merge. Several rows are added up in
/// registers before they meet the block's sums: side by side, each is read from end to end, which
/// is what the prefetcher follows.
void Cpu::reduce_rows(Reduction& r) const {
  const Var co("co"), ci("ci"), task("task");
  const int width = r.grid.width;
  const Expr strip = strip_of(r.grid.domain, width);
  r.merged.compute_root().vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    r.total.compute_root().vectorize(r.c, width, guarded);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y).vectorize(r.c, width, guarded);
  r.block.compute_root()
      .split(r.c, co, ci, strip, guarded)
      .vectorize(ci, width, guarded)
      .reorder(ci, r.jl, co, r.jn)
      .fuse(co, r.jn, task)
      .parallel(task);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, task).vectorize(r.c, width, guarded);
  }
  sum_in_columns(r, LoopLevel(r.block, task));
  r.part.together.vectorize(r.part.c);
}

/// Channel groups in parallel, for y or dx in NCL.
void Cpu::write_channels(Func y, const Axes& v, const Var& co, const Var& ci,
                         const Expr& group) const {
  write_along(y, v.l);
  y.split(v.c, co, ci, group, guarded).reorder(v.l, ci, v.n, co).parallel(co);
}

/// Whole rows in parallel, for y or dx in NLC.
void Cpu::write_rows(Func y, const Axes& v, const Domain& d) const {
  const Var no("no");
  y.split(v.n, no, v.n, rows_per_task(d), guarded);
  write_across(y, v.c, v.n, y.types()[0]);
  y.reorder(v.c, v.n, no).parallel(no);
}

/// A task's rows strip by strip, where the coefficients of whole rows would not stay in L1:
/// inference on (128, 4096) 110 to 76 us, backward on (64, 512, 7) 116 to 99 (Zen 4, 1 thread).
/// Narrower rows lose a quarter by a second loop. Called before write_rows(): a specialization has
/// the schedule of that moment.
void Cpu::write_wide_rows(Func y, const Axes& v, const Domain& d) const {
  if (d.layout != Layout::NLC) {
    return;
  }
  const Var no("no"), strip("strip");
  const Halide::Type data = y.types()[0];
  Stage wide = y.specialize(d.C * algorithm::accumulator_of(data).bytes() > coefficients_in_l1);
  wide.split(v.n, no, v.n, rows_per_task(d), guarded)
      .split(v.c, strip, v.c, strip_of(d, step_of(data)), guarded);
  write_across(wide, v.c, v.n, data);
  wide.reorder(v.c, v.n, strip, no).parallel(no);
}

/// Statistics and what is made of them: in one parallel region (NCL), where a task comes back to
/// its channels while they are in cache, or in two (NLC), since all channels of a row lie together.
/// Of each element, `bytes` are read twice.
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
  write_channels(y, v, co, ci, group);
  reduce_channels(r, LoopLevel(y, co));
  for (Func f : coefficients) {
    f.compute_at(y, co);
    in_vectors(f, natural(Halide::Float(64)), strides_);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(y, co);
  }
}

/// A second output of dx's pass, in the same loops: what both read is read once.
void Cpu::write_beside(Func second, const Func& dx, const Axes& v, const Domain& d,
                       int bytes) const {
  if (d.layout == Layout::NLC) {
    write_rows(second, v, d);
    second.compute_with(dx, v.c);
    return;
  }
  write_channels(second, v, Var("co"), Var("ci"), channels_per_task(d, bytes));
  second.compute_with(dx, v.l);
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

/// One pass without a reduction: the coefficients first, then rows in parallel.
void Cpu::write_only(Func y, const Axes& v, const Domain& d,
                     const std::vector<Func>& coefficients) const {
  const int step = step_of(y.type());
  for (Func f : coefficients) {
    f.compute_root();
    in_vectors(f, step, strides_);
  }
  if (d.layout == Layout::NLC) {
    write_rows(y, v, d);
    return;
  }
  const Var co("co"), ci("ci"), no("no"), ni("ni"), task("task");
  const Expr row = max(d.L, 1);
  const Expr channels = clamp(tuning_.task_elements / row, 1, max(d.C, 1));
  const Expr rows = clamp(tuning_.task_elements / row / max(d.C, 1), 1, 4096);
  write_along(y, v.l);
  y.split(v.c, co, ci, channels, guarded)
      .split(v.n, no, ni, rows, guarded)
      .reorder(v.l, ci, ni, co, no)
      .fuse(co, no, task)
      .parallel(task);
}

void Cpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  write_wide_rows(s.y, {s.l, s.c, s.n}, m.grid.domain);
  reduce_and_write(m, s.y, {s.l, s.c, s.n}, {s.invstd, s.center, s.scale, s.offset}, statistics,
                   s.y.types()[0].bytes());
}

void Cpu::elementwise(Normalize& s, const Domain& d) const {
  write_wide_rows(s.y, {s.l, s.c, s.n}, d);
  write_only(s.y, {s.l, s.c, s.n}, d, {s.invstd, s.center, s.scale, s.offset});
}

void Cpu::moments(Reduction& m, const PerChannel& statistics) const { reduce_only(m, statistics); }

void Cpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Axes axes{g.l, g.c, g.n};
  const int bytes = 2 * g.dx.types()[0].bytes();
  if (!g.daddend.defined()) {  // its loops could not be those of dx
    write_wide_rows(g.dx, axes, s.about_center.grid.domain);
  }
  reduce_and_write(s.about_center, g.dx, axes, coefficients_of(s, g), gradients, bytes);
  if (g.daddend.defined()) {
    write_beside(g.daddend, g.dx, axes, s.about_center.grid.domain, bytes);
  }
}

void Cpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums);
}

void Cpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  write_wide_rows(g.dx, {g.l, g.c, g.n}, d);
  write_only(g.dx, {g.l, g.c, g.n}, d, {g.center, g.a, g.b, g.d});
}

void Cpu::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], natural(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
