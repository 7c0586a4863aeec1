#include "x86.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::max;
using Halide::min;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// Elements that a task has at least: below that, waking a second thread costs more than it does
// (a sleeping worker arrives tens of microseconds late).
constexpr int task_elements = 16384;

// Vectors of channels whose sums a thread keeps in registers while it walks down the rows, NLC.
constexpr int strip_vectors = 8;

// Every split of an output is guarded, never shifted inwards: an output may be its own input, and
// an element computed twice would be normalized twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// The three axes of y or dx.
struct Axes {
  Var l, c, n;
};

/// Channels per task, NCL. Short rows need neighbours, or each task walks the tensor in crumbs;
/// long rows are tasks of their own, so that a channel is still in L2 when it is read again.
Expr channels_per_task(const Domain& d) {
  const Expr row = max(d.L, 1);
  const Expr near = clamp(8192 / row, 1, 32);
  const Expr enough = clamp(task_elements / row / max(d.N, 1), 1, 64);
  return max(min(near, (d.C + 3) / 4), enough);
}

/// Rows per task, NLC.
Expr rows_per_task(const Domain& d) { return clamp(task_elements / max(d.C, 1), 1, 4096); }

/// A block's sums in registers, NCL: whole vectors without a guard, then one masked vector a row.
void sum_in_lanes(Reduction& r, const LoopLevel& at, int width) {
  auto& b = r.part;
  b.sums.compute_at(at);
  b.sums.update().atomic().vectorize(b.across);
  b.lanes.compute_at(at).vectorize(b.u, width).unroll(b.u);
  b.lanes.update(0).reorder(b.u, b.full.x, b.full.y).vectorize(b.u, width).unroll(b.u);
  b.lanes.update(1).reorder(b.u, b.tail.x).vectorize(b.u, width).unroll(b.u);
}

/// The blocks of a task's channels: channels innermost, so that short rows are read in memory
/// order.
void reduce_channels(Reduction& r, const LoopLevel& at, int width) {
  r.merged.compute_at(at);
  if (r.total.defined()) {
    r.total.compute_at(at);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y);
  const LoopLevel inner(r.merged, r.c);
  if (r.shift.defined()) {
    r.shift.compute_at(inner);
  }
  sum_in_lanes(r, inner, width);
}

/// Whole blocks of rows in parallel, each in strips of channels; then a short serial merge. A strip
/// has a constant width, so that its sums stay in registers: the last one starts earlier instead.
void reduce_rows(Reduction& r, int width) {
  const Var co("co"), ci("ci");
  r.merged.compute_root().vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    r.total.compute_root().vectorize(r.c, width, guarded);
  }
  r.merged.update().reorder(r.c, r.order.x, r.order.y).vectorize(r.c, width, guarded);
  r.block.compute_root().parallel(r.jn);
  for (const int vectors : {strip_vectors, 2, 1}) {
    const int strip = vectors * width;
    r.block.specialize(r.grid.domain.C >= strip)
        .split(r.c, co, ci, strip, TailStrategy::ShiftInwards)
        .reorder(ci, co, r.jl, r.jn)
        .vectorize(ci, width);
  }
  r.block.split(r.c, co, ci, width, guarded).reorder(ci, co, r.jl, r.jn);
  auto& b = r.part;
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, co).vectorize(r.c, width, guarded);
    r.shift.update().reorder(r.c, r.sample.x).vectorize(r.c, width, guarded);
  }
  b.sums.compute_at(r.block, co).vectorize(b.c, width, guarded);
  b.sums.update().reorder(b.c, b.across.x).vectorize(b.c, width, guarded);
  b.lanes.compute_at(b.sums, b.across.x).vectorize(b.c, width, guarded);
  b.lanes.update().reorder(b.c, b.down.x).vectorize(b.c, width, guarded);
}

/// Channel groups in parallel, for y or dx in NCL.
void write_channels(Func y, const Axes& v, const Var& co, const Var& ci, const Expr& group,
                    int width) {
  const Var lo("lo"), li("li");
  y.split(v.c, co, ci, group, guarded)
      .split(v.l, lo, li, width, guarded)
      .vectorize(li)
      .reorder(li, lo, ci, v.n, co)
      .parallel(co);
}

/// Whole rows in parallel, for y or dx in NLC.
void write_rows(Func y, const Axes& v, const Domain& d, int width) {
  const Var ci("ci"), no("no"), ni("ni");
  y.split(v.c, v.c, ci, width, guarded)
      .vectorize(ci)
      .split(v.n, no, ni, rows_per_task(d), guarded)
      .reorder(ci, v.c, ni, no)
      .parallel(no);
}

/// Statistics and what is made of them in one parallel region (NCL): a task takes a few
/// neighbouring channels and comes back to them while they are still in cache. Or in two (NLC),
/// since there all channels of a row lie together.
void reduce_and_write(Reduction& r, Func y, const Axes& v, const std::vector<Func>& coefficients,
                      const PerChannel& outputs, int width) {
  const Domain& d = r.grid.domain;
  if (d.layout == Layout::NLC) {
    reduce_rows(r, width);
    for (Func f : coefficients) {
      f.compute_root().vectorize(f.args()[0], width, guarded);
    }
    for (Func f : outputs) {
      f.vectorize(f.args()[0], width, guarded);
    }
    write_rows(y, v, d, width);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(d);
  write_channels(y, v, co, ci, group, width);
  reduce_channels(r, LoopLevel(y, co), width);
  for (Func f : coefficients) {
    f.compute_at(y, co);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(y, co);
  }
}

/// A second output of dx's pass, in the same loops down to a row, or to a vector of it in NLC: what
/// both read is read once.
void write_beside(Func second, const Func& dx, const Axes& v, const Domain& d, int width) {
  if (d.layout == Layout::NLC) {
    write_rows(second, v, d, width);
    second.compute_with(dx, v.c);
    return;
  }
  const Var co("co"), ci("ci"), lo("lo");
  write_channels(second, v, co, ci, channels_per_task(d), width);
  second.compute_with(dx, lo);
}

/// With fixed statistics dx is a multiple of dy, and the other coefficients do not exist.
std::vector<Func> coefficients_of(const GradientSums& s, const InputGradient& g) {
  std::vector<Func> all{s.center};
  for (const Func& f : {g.center, g.a, g.b, g.d}) {
    if (f.defined()) {
      all.push_back(f);
    }
  }
  return all;
}

/// Statistics alone.
void reduce_only(Reduction& r, const PerChannel& outputs, int width) {
  if (r.grid.domain.layout == Layout::NLC) {
    reduce_rows(r, width);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(r.grid.domain);
  Func first = outputs.front();
  first.split(first.args()[0], co, ci, group, guarded).parallel(co);
  for (size_t i = 1; i < outputs.size(); ++i) {
    Func f = outputs[i];
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(first, co);
  }
  reduce_channels(r, LoopLevel(first, co), width);
}

/// One pass without a reduction: the coefficients first, then rows in parallel.
void write_only(Func y, const Axes& v, const Domain& d, const std::vector<Func>& coefficients,
                int width) {
  for (Func f : coefficients) {
    f.compute_root().vectorize(f.args()[0], width, guarded);
  }
  if (d.layout == Layout::NLC) {
    write_rows(y, v, d, width);
    return;
  }
  const Var co("co"), ci("ci"), task("task");
  const Expr rows = clamp(task_elements / max(d.L, 1), 1, 4096);
  const Var lo("lo"), li("li"), inner("inner");
  y.split(v.l, lo, li, width, guarded)
      .vectorize(li)
      .fuse(v.c, v.n, task)
      .split(task, task, inner, rows, guarded)
      .parallel(task);
}

}  // namespace

BlockSizes X86::block_sizes(Layout layout, Halide::Type data) const {
  const int width = vector(algorithm::accumulator_of(data));
  if (layout == Layout::NLC) {
    return {.lanes = 32, .row_length = 1, .block_values = 65536, .max_rows = 256};
  }
  // No lane adds more than 64 values, however narrow the vectors are.
  const int lanes = 4 * width;
  return {.lanes = lanes, .row_length = 64 * lanes, .block_values = 32 * lanes, .max_rows = 64};
}

void X86::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  reduce_and_write(m, s.y, {s.l, s.c, s.n}, {s.invstd, s.center, s.scale, s.offset}, statistics,
                   vector(algorithm::accumulator_of(s.y.type())));
}

void X86::elementwise(Normalize& s, const Domain& d) const {
  write_only(s.y, {s.l, s.c, s.n}, d, {s.invstd, s.center, s.scale, s.offset},
             vector(algorithm::accumulator_of(s.y.type())));
}

void X86::moments(Reduction& m, const PerChannel& statistics) const {
  reduce_only(m, statistics, vector(m.part.sums.types()[0]));
}

void X86::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  reduce_and_write(s.about_center, g.dx, {g.l, g.c, g.n}, coefficients_of(s, g), gradients,
                   vector(algorithm::accumulator_of(g.dx.type())));
  if (g.daddend.defined()) {
    write_beside(g.daddend, g.dx, {g.l, g.c, g.n}, s.about_center.grid.domain,
                 vector(algorithm::accumulator_of(g.dx.type())));
  }
}

void X86::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums, vector(s.about_center.part.sums.types()[0]));
}

void X86::backward_elementwise(InputGradient& g, const Domain& d) const {
  write_only(g.dx, {g.l, g.c, g.n}, d, {g.center, g.a, g.b, g.d},
             vector(algorithm::accumulator_of(g.dx.type())));
}

void X86::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], vector(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
