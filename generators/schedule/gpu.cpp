#include "gpu.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::clamp;
using Halide::Expr, Halide::Func, Halide::TailStrategy, Halide::Var;

namespace {

// Threads whose loads the hardware joins into one: a warp of CUDA's.
constexpr int warp = 32;
// Channels that a block of threads sums in NCL, a warp each.
constexpr int channels = 8;
// Runs of blocks that are merged side by side, one thread each.
constexpr int gatherers = 32;
// Threads of a block where each has a channel of its own.
constexpr int few = 128;
// Elements of a thread, NCL and NLC: so many loads are on their way before the first is needed,
// and so many elements share what a thread has to find out about its place.
constexpr int each = 4;

// An output may be its own input: no element is computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// The three axes of y or dx.
struct Axes {
  Var l, c, n;
};

/// The blocks' pairs, NCL: a warp walks along the rows of its channel, neighbours side by side,
/// each thread with its own sums in registers; they meet in shared memory.
void sum_along_rows(Reduction& r) {
  const Var co("co"), ci("ci");
  auto& b = r.part;
  r.block.compute_root()
      .split(r.c, co, ci, channels, guarded)
      .reorder(ci, co, r.jl, r.jn)
      .gpu_blocks(co, r.jl, r.jn)
      .gpu_threads(ci);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, co).gpu_threads(r.c);
  }
  b.sums.compute_at(r.block, co).gpu_threads(b.c);
  b.sums.update(0).gpu_threads(b.c);
  b.sums.update(1).gpu_threads(b.c);
  b.row_sum.compute_at(b.sums, b.rows.x);
  b.lane.compute_at(r.block, co).gpu_threads(b.w, b.c);
  b.lanes.compute_at(b.lane, b.w).unroll(b.u);
  b.lanes.update(0).reorder(b.u, b.full.x, b.full.y).unroll(b.u);
  b.lanes.update(1).unroll(b.rest.x);
}

/// The blocks' pairs, NLC: a thread for each channel walks down the rows; neighbouring threads read
/// neighbouring channels.
void sum_down_columns(Reduction& r) {
  const Var co("co"), ci("ci");
  auto& b = r.part;
  r.block.compute_root()
      .split(r.c, co, ci, warp, guarded)
      .reorder(ci, co, r.jl, r.jn)
      .gpu_blocks(co, r.jl, r.jn)
      .gpu_threads(ci);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, ci);
  }
  b.sums.compute_at(r.block, ci);
}

/// Functions of a channel that do not call each other, in one kernel, a thread for each channel.
void each_channel(const std::vector<Func>& all) {
  const Var co("co"), ci("ci");
  Func first = all.front();
  for (Func f : all) {
    f.compute_root().split(f.args()[0], co, ci, few, guarded).gpu_blocks(co).gpu_threads(ci);
    if (f.name() != first.name()) {
      f.compute_with(first, ci);
    }
  }
}

/// The blocks of each channel, in a kernel of its own: runs of them side by side, then the runs.
/// (Inside a kernel of several outputs, whose loops are fused under a condition, PoCL 3.1 runs what
/// lies between two barriers more than once.)
void merge_blocks(Reduction& r) {
  const Var co("co"), ci("ci");
  Func pair = r.total.defined() ? r.total : r.merged.in();
  pair.compute_root()
      .split(pair.args()[0], co, ci, channels, guarded)
      .gpu_blocks(co)
      .gpu_threads(ci);
  r.merged.compute_at(pair, co).gpu_threads(r.c);
  r.merged.update().gpu_threads(r.c);
  r.gathered.compute_at(pair, co).gpu_threads(r.c, r.run);
  r.gathered.update().gpu_threads(r.c, r.run);
}

void reduce(Reduction& r) {
  if (r.grid.domain.layout == Layout::NLC) {
    sum_down_columns(r);
  } else {
    sum_along_rows(r);
  }
  merge_blocks(r);
}

/// y or dx: threads side by side along the innermost axis. A grid has one long axis, which takes
/// all three.
void write(Func y, const Axes& v, Layout layout) {
  const Var o("o"), u("u"), t("t"), co("co"), ci("ci"), no("no"), ni("ni"), tile("tile");
  if (layout == Layout::NCL) {
    y.compute_root()
        .split(v.l, o, t, warp * each, guarded)
        .split(t, u, t, warp)
        .split(v.c, co, ci, channels, guarded)
        .reorder(u, t, ci, o, co, v.n)
        .unroll(u)
        .gpu_threads(t, ci)
        .fuse(o, co, tile)
        .fuse(tile, v.n, tile)
        .gpu_blocks(tile);
  } else {
    y.compute_root()
        .split(v.c, co, ci, warp, guarded)
        .split(v.n, no, ni, channels * each, guarded)
        .split(ni, u, ni, channels)
        .reorder(u, ci, ni, co, no)
        .unroll(u)
        .gpu_threads(ci, ni)
        .fuse(co, no, tile)
        .gpu_blocks(tile);
  }
}

std::vector<Func> coefficients_of(const InputGradient& g) {
  std::vector<Func> all;
  for (const Func& f : {g.a, g.b, g.d}) {
    if (f.defined()) {
      all.push_back(f);
    }
  }
  return all;
}

template <class A, class B>
std::vector<Func> joined(const A& a, const B& b) {
  std::vector<Func> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

}  // namespace

BlockSizes Gpu::block_sizes(Layout layout, Halide::Type /*data*/) const {
  if (layout == Layout::NLC) {
    return {.width = warp,
            .lanes = 8,
            .row_length = 1,
            .block_values = 2048,
            .min_rows = 32,
            .max_rows = 4096,
            .in_double = true,
            .blocks = 1024,
            .gatherers = gatherers};
  }
  return {.width = warp,
          .lanes = each,
          .row_length = 16384,
          .block_values = 2048,
          .min_rows = 1,
          .max_rows = 4096,
          .in_double = true,
          .blocks = 4096,
          .gatherers = gatherers};
}

void Gpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  reduce(m);
  each_channel(joined(statistics, std::vector<Func>{s.scale, s.offset}));
  write(s.y, {s.l, s.c, s.n}, m.grid.domain.layout);
}

void Gpu::elementwise(Normalize& s, const Domain& d) const {
  each_channel({s.scale, s.offset});
  write(s.y, {s.l, s.c, s.n}, d.layout);
}

void Gpu::moments(Reduction& m, const PerChannel& statistics) const {
  reduce(m);
  each_channel(statistics);
}

void Gpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Layout layout = s.about_center.grid.domain.layout;
  reduce(s.about_center);
  each_channel(joined(gradients, coefficients_of(g)));
  write(g.dx, {g.l, g.c, g.n}, layout);
  if (g.daddend.defined()) {
    write(g.daddend, {g.l, g.c, g.n}, layout);
  }
}

void Gpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  reduce(s.about_center);
  each_channel(sums);
}

void Gpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  each_channel(coefficients_of(g));
  write(g.dx, {g.l, g.c, g.n}, d.layout);
}

void Gpu::per_channel(const PerChannel& outputs) const { each_channel(outputs); }

}  // namespace halnorm::schedule
