#include "gpu.h"

#include <algorithm>

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::BlockSums;
using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Expr, Halide::Func, Halide::Stage, Halide::TailStrategy, Halide::Var;

namespace {

// Threads whose loads the hardware joins into one: a warp of CUDA's.
constexpr int warp = 32;
// Channels that a block of threads sums in NCL, a warp each.
constexpr int channels = 8;
// Runs of blocks that are merged side by side, one thread each.
constexpr int gatherers = 32;
// Threads of a block where each has a channel of its own.
constexpr int few = 128;
// What a thread loads at a time, where it is aligned.
constexpr int vector_bytes = 16;
// Elements of a thread along a row, or rows, where loads are single ones: so many are on their way
// before the first is needed, and so many share what a thread has to know of its place.
constexpr int each = 4;

// An output may be its own input: no element is computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// The three axes of y or dx.
struct Axes {
  Var l, c, n;
};

/// A block of threads for each block of the data, of so many neighbouring channels.
void grid_of_blocks(Reduction& r, int neighbours) {
  const Var co("co"), ci("ci");
  r.block.compute_root()
      .split(r.c, co, ci, neighbours, guarded)
      .reorder(ci, co, r.jl, r.jn)
      .gpu_blocks(co, r.jl, r.jn)
      .gpu_threads(ci);
}

/// A thread's own sums, NCL.
void sum_in_registers(BlockSums& b, const Func& thread) {
  b.lanes.compute_at(thread, b.w).unroll(b.u);
  b.lanes.update(0).reorder(b.u, b.full.x, b.full.y).unroll(b.u);
  b.lanes.update(1).unroll(b.rest.x);
}

/// The blocks' pairs, NCL: a warp walks along the rows of its channel, neighbours side by side,
/// each thread with its own sums in registers; they meet in shared memory.
void sum_along_rows(Reduction& r) {
  const Var co("co");
  auto& b = r.part;
  grid_of_blocks(r, channels);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, co).gpu_threads(r.c);
  }
  b.sums.compute_at(r.block, co).gpu_threads(b.c);
  b.sums.update(0).gpu_threads(b.c);
  b.sums.update(1).gpu_threads(b.c);
  b.row_sum.compute_at(b.sums, b.rows.x);
  b.lane.compute_at(r.block, co).gpu_threads(b.w, b.c);
  sum_in_registers(b, b.lane);
}

/// The same, but they meet by shuffles: what a stage of the warp makes is in registers of its
/// lanes.
void sum_by_shuffles(Reduction& r) {
  const Var co("co"), ci("ci"), one("one");
  auto& b = r.part;
  r.block.compute_root()
      .split(r.c, co, ci, channels, guarded)
      .split(ci, ci, one, 1)
      .reorder(one, ci, co, r.jl, r.jn)
      .gpu_blocks(co, r.jl, r.jn)
      .gpu_threads(ci)
      .gpu_lanes(one);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, co).gpu_threads(r.c);
  }
  b.sums.compute_at(r.block, one).bound_extent(b.c, 1);
  b.row_sum.compute_at(b.sums, b.rows.x).bound_extent(b.row, 1).bound_extent(b.c, 1);
  const auto in_lanes = [&](Func& f) {
    f.compute_at(r.block, ci)
        .bound_extent(b.c, 1)
        .store_in(Halide::MemoryType::Register)
        .gpu_lanes(b.w);
  };
  std::for_each(b.halves.begin(), b.halves.end(), in_lanes);
  sum_in_registers(b, b.halves.front());
}

/// The blocks' pairs, NLC: a thread for each channel walks down the rows; neighbouring threads read
/// neighbouring channels.
void sum_down_columns(Reduction& r) {
  const Var ci("ci");
  grid_of_blocks(r, warp);
  if (r.shift.defined()) {
    r.shift.compute_at(r.block, ci);
  }
  r.part.sums.compute_at(r.block, ci);
}

/// Functions of a channel that do not call each other, in one kernel, a thread for each channel.
void each_channel(const std::vector<Func>& all) {
  const Var co("co"), ci("ci");
  const Func& first = all.front();
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
  } else if (r.grid.halving) {
    sum_by_shuffles(r);
  } else {
    sum_along_rows(r);
  }
  merge_blocks(r);
}

/// Whether rows of all the data start at multiples of `size` elements, and hold that many.
Expr aligned(const std::vector<Expr>& strides, const Expr& row, int size) {
  Expr all = row % size == 0;
  for (const Expr& stride : strides) {
    all = all && stride % size == 0;
  }
  return all;
}

/// What a thread of y or dx writes: `times` vectors of `size` elements along a row, in each of
/// `rows` rows.
struct Share {
  int size, times, rows;
};

/// y or dx, neighbouring threads side by side along a row of whole vectors. A grid has one long
/// axis, which takes all that there is to divide.
void write_tiles(Stage y, const Var& along, const Var& across, const std::vector<Var>& others,
                 const Share& share) {
  const Var o("o"), u("u"), t("t"), v("v"), co("co"), ci("ci"), r("r"), tile("tile");
  y.split(along, t, v, share.size, share.size == 1 ? guarded : TailStrategy::RoundUp)
      .split(t, o, t, warp * share.times, guarded)
      .split(t, u, t, warp)
      .split(across, co, ci, channels * share.rows, guarded)
      .split(ci, r, ci, channels)
      .reorder(v, u, r, t, ci, o, co)
      .vectorize(v)
      .unroll(u)
      .unroll(r)
      .gpu_threads(t, ci)
      .fuse(o, co, tile);
  for (const Var& other : others) {
    y.fuse(tile, other, tile);
  }
  y.gpu_blocks(tile);
}

/// In vectors where rows are made of them and they are aligned, else element by element. (Halide 21
/// cannot compile vectors of float64 for CUDA.)
void write(Func y, const Axes& v, const Domain& d, const std::vector<Expr>& strides,
           bool vectors = true) {
  const bool along_l = d.layout == Layout::NCL;
  const std::vector<Var> others = along_l ? std::vector<Var>{v.n} : std::vector<Var>{};
  const int rows = along_l ? 1 : each;
  y.compute_root();
  if (const int bytes = y.types()[0].bytes(); vectors && bytes < 8) {
    const int size = vector_bytes / bytes;
    write_tiles(y.specialize(aligned(strides, along_l ? d.L : d.C, size)), along_l ? v.l : v.c,
                along_l ? v.c : v.n, others, {size, 1, rows});
  }
  write_tiles(y, along_l ? v.l : v.c, along_l ? v.c : v.n, others, {1, along_l ? each : 1, rows});
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
          .gatherers = gatherers,
          .halving = shuffles_};
}

bool Gpu::in_vectors(const Normalize& s) const {
  // Halide 21 has no strict comparison of vectors in OpenCL, which relu(NaN) needs.
  return !(s.rectifies && target_.has_feature(Halide::Target::OpenCL));
}

void Gpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  reduce(m);
  each_channel(joined(statistics, std::vector<Func>{s.scale, s.offset}));
  write(s.y, {s.l, s.c, s.n}, m.grid.domain, strides_, in_vectors(s));
}

void Gpu::elementwise(Normalize& s, const Domain& d) const {
  each_channel({s.scale, s.offset});
  write(s.y, {s.l, s.c, s.n}, d, strides_, in_vectors(s));
}

void Gpu::moments(Reduction& m, const PerChannel& statistics) const {
  reduce(m);
  each_channel(statistics);
}

void Gpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Domain& d = s.about_center.grid.domain;
  reduce(s.about_center);
  each_channel(joined(gradients, coefficients_of(g)));
  write(g.dx, {g.l, g.c, g.n}, d, strides_);
  if (g.daddend.defined()) {
    write(g.daddend, {g.l, g.c, g.n}, d, strides_);
  }
}

void Gpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  reduce(s.about_center);
  each_channel(sums);
}

void Gpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  each_channel(coefficients_of(g));
  write(g.dx, {g.l, g.c, g.n}, d, strides_);
}

void Gpu::per_channel(const PerChannel& outputs) const { each_channel(outputs); }

}  // namespace halnorm::schedule
