#include "x86.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::clamp, Halide::max, Halide::min;
using Halide::Expr, Halide::Func, Halide::LoopLevel, Halide::TailStrategy, Halide::Var;

namespace {

// What the tuner may set, and what it is by itself.
constexpr Tuning defaults{
    // Elements that a task has at least: below that, waking a second thread costs more than it does
    // (a sleeping worker arrives tens of microseconds late).
    .task_elements = 16384,
    // Vectors of channels whose sums lie in L1 while a thread walks down the rows, NLC: with whole
    // rows instead of strips of 8 vectors, moments of (4096, 256) 116 to 65 us (Zen 4, 1 thread).
    .strip_vectors = 64,
    // Elements that a task has side by side in memory, NCL: from 8192, training (64, 64, 1250) 3.3
    // to 2.6 ms, backward (16, 128, 784) 690 to 490 us (Zen 4, 1 thread). More gains no more.
    .near_elements = 32768,
};

constexpr int value_or(int tuned, int otherwise) { return tuned != 0 ? tuned : otherwise; }

// Every split of an output is guarded, never shifted inwards: an output may be its own input, and
// an element computed twice would be normalized twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// The three axes of y or dx.
struct Axes {
  Var l, c, n;
};

/// Channels per task, NCL: neighbours, so that a task reads long pieces of memory.
Expr channels_per_task(const Domain& d, const Tuning& t) {
  const Expr row = max(d.L, 1);
  const Expr near = max(t.near_elements / row, 1);
  const Expr enough = clamp(t.task_elements / row / max(d.N, 1), 1, 64);
  return max(min(near, (d.C + 3) / 4), enough);
}

/// Rows per task, NLC.
Expr rows_per_task(const Domain& d, const Tuning& t) {
  return clamp(t.task_elements / max(d.C, 1), 1, 4096);
}

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

/// Channels per strip, NLC: all of them up to a limit, else equal shares, in whole vectors: a loop
/// then has at most one vector with a mask, and none that is empty, which costs as much as ten.
Expr strip_of(const Domain& d, int width, const Tuning& t) {
  const Expr vectors = max((d.C + width - 1) / width, 1);
  const Expr strips = (vectors + t.strip_vectors - 1) / t.strip_vectors;
  return (vectors + strips - 1) / strips * width;
}

/// Blocks of whole rows in parallel; then a short serial merge. Several rows are added up in
/// registers before they meet the block's sums: side by side, each is read from end to end, which
/// is what the prefetcher follows.
void reduce_rows(Reduction& r, int width, const Tuning& t) {
  const Var co("co"), ci("ci"), task("task");
  const Expr strip = strip_of(r.grid.domain, width, t);
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
  auto& b = r.part;
  b.sums.compute_at(r.block, task).vectorize(b.c, width, guarded);
  b.sums.update(0).reorder(b.c, b.across.x).vectorize(b.c, width, guarded);
  b.together.compute_at(b.sums, b.c).vectorize(b.c);
  b.sums.update(1).reorder(b.c, b.rest.x).vectorize(b.c, width, guarded);
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
void write_rows(Func y, const Axes& v, const Domain& d, int width, const Tuning& t) {
  const Var ci("ci"), no("no"), ni("ni");
  y.split(v.c, v.c, ci, width, guarded)
      .vectorize(ci)
      .split(v.n, no, ni, rows_per_task(d, t), guarded)
      .reorder(ci, v.c, ni, no)
      .parallel(no);
}

/// Statistics and what is made of them: in one parallel region (NCL), where a task comes back to
/// its channels while they are in cache, or in two (NLC), since all channels of a row lie together.
void reduce_and_write(Reduction& r, Func y, const Axes& v, const std::vector<Func>& coefficients,
                      const PerChannel& outputs, int width, const Tuning& t) {
  const Domain& d = r.grid.domain;
  if (d.layout == Layout::NLC) {
    reduce_rows(r, width, t);
    for (Func f : coefficients) {
      f.compute_root().vectorize(f.args()[0], width, guarded);
    }
    for (Func f : outputs) {
      f.vectorize(f.args()[0], width, guarded);
    }
    write_rows(y, v, d, width, t);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(d, t);
  write_channels(y, v, co, ci, group, width);
  reduce_channels(r, LoopLevel(y, co));
  for (Func f : coefficients) {
    f.compute_at(y, co);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(y, co);
  }
}

/// A second output of dx's pass, in the same loops: what both read is read once.
void write_beside(Func second, const Func& dx, const Axes& v, const Domain& d, int width,
                  const Tuning& t) {
  const Var co("co"), ci("ci"), lo("lo");
  if (d.layout == Layout::NLC) {
    write_rows(second, v, d, width, t);
  } else {
    write_channels(second, v, co, ci, channels_per_task(d, t), width);
  }
  second.compute_with(dx, d.layout == Layout::NLC ? v.c : lo);
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
void reduce_only(Reduction& r, const PerChannel& outputs, int width, const Tuning& t) {
  if (r.grid.domain.layout == Layout::NLC) {
    reduce_rows(r, width, t);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(r.grid.domain, t);
  Func first = outputs.front();
  first.split(first.args()[0], co, ci, group, guarded).parallel(co);
  for (size_t i = 1; i < outputs.size(); ++i) {
    Func f = outputs[i];
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(first, co);
  }
  reduce_channels(r, LoopLevel(first, co));
}

/// One pass without a reduction: the coefficients first, then rows in parallel.
void write_only(Func y, const Axes& v, const Domain& d, const std::vector<Func>& coefficients,
                int width, const Tuning& t) {
  for (Func f : coefficients) {
    f.compute_root().vectorize(f.args()[0], width, guarded);
  }
  if (d.layout == Layout::NLC) {
    write_rows(y, v, d, width, t);
    return;
  }
  const Var lo("lo"), li("li"), co("co"), ci("ci"), no("no"), ni("ni"), task("task");
  const Expr row = max(d.L, 1);
  const Expr channels = clamp(t.task_elements / row, 1, max(d.C, 1));
  const Expr rows = clamp(t.task_elements / row / max(d.C, 1), 1, 4096);
  y.split(v.l, lo, li, width, guarded)
      .vectorize(li)
      .split(v.c, co, ci, channels, guarded)
      .split(v.n, no, ni, rows, guarded)
      .reorder(li, lo, ci, ni, co, no)
      .fuse(co, no, task)
      .parallel(task);
}

}  // namespace

X86::X86(const Halide::Target& target, const Tuning& tuning)
    : target_(target),
      tuning_{.task_elements = value_or(tuning.task_elements, defaults.task_elements),
              .strip_vectors = value_or(tuning.strip_vectors, defaults.strip_vectors),
              .near_elements = value_or(tuning.near_elements, defaults.near_elements)} {}

BlockSizes X86::block_sizes(Layout layout, Halide::Type data) const {
  const int width = vector(algorithm::accumulator_of(data));
  if (layout == Layout::NLC) {
    return {.width = width,
            .lanes = 8,
            .row_length = 1,
            .block_values = 65536,
            .min_rows = 64,
            .max_rows = 256};
  }
  // No lane adds more than 64 values, however narrow the vectors are.
  const int step = 4 * width;
  return {.width = width,
          .lanes = 4,
          .row_length = 64 * step,
          .block_values = 32 * step,
          .min_rows = 1,
          .max_rows = 64};
}

void X86::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  reduce_and_write(m, s.y, {s.l, s.c, s.n}, {s.invstd, s.center, s.scale, s.offset}, statistics,
                   vector(algorithm::accumulator_of(s.y.type())), tuning_);
}

void X86::elementwise(Normalize& s, const Domain& d) const {
  write_only(s.y, {s.l, s.c, s.n}, d, {s.invstd, s.center, s.scale, s.offset},
             vector(algorithm::accumulator_of(s.y.type())), tuning_);
}

void X86::moments(Reduction& m, const PerChannel& statistics) const {
  reduce_only(m, statistics, vector(m.part.sums.types()[0]), tuning_);
}

void X86::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  reduce_and_write(s.about_center, g.dx, {g.l, g.c, g.n}, coefficients_of(s, g), gradients,
                   vector(algorithm::accumulator_of(g.dx.type())), tuning_);
  if (g.daddend.defined()) {
    write_beside(g.daddend, g.dx, {g.l, g.c, g.n}, s.about_center.grid.domain,
                 vector(algorithm::accumulator_of(g.dx.type())), tuning_);
  }
}

void X86::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums, vector(s.about_center.part.sums.types()[0]), tuning_);
}

void X86::backward_elementwise(InputGradient& g, const Domain& d) const {
  write_only(g.dx, {g.l, g.c, g.n}, d, {g.center, g.a, g.b, g.d},
             vector(algorithm::accumulator_of(g.dx.type())), tuning_);
}

void X86::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], vector(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
