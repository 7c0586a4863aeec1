#include "gpu.h"

#include "gpu_sums.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Expr, Halide::Func, Halide::Stage, Halide::TailStrategy, Halide::Var;

namespace {

// Threads of a block: what every device has.
constexpr int threads = 256;
// Channels whose blocks are merged by one block of threads, and the threads of each.
constexpr int merged = 4;
constexpr int gatherers = threads / merged;
// Threads of a block where each has a channel of its own.
constexpr int few = 128;
// Elements that a thread loads at a time, where they are aligned: 16 bytes, or of narrow data 8,
// the most that Halide 21 makes one access of.
constexpr int vector = 4;
// Rows of a thread, which share what it has to know of its channels, and whose loads are on their
// way together.
constexpr int each = 4;

// An output may be its own input: no element is computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// The three axes of y or dx, and how many rows a thread has at a time.
struct Axes {
  Var l, c, n;
  int rows = each;
};

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

/// Functions of a channel that do not call each other, in one kernel, a thread for each channel.
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

/// The blocks' pairs: a block of threads for each block of the data, of one channel or, in NLC, of
/// neighbouring ones.
void sum_blocks(Reduction& r) {
  const Var co("co"), ci("ci");
  r.block.compute_root()
      .bound(r.c, 0, r.grid.domain.C)
      .bound(r.jl, 0, r.grid.cuts)
      .bound(r.jn, 0, r.grid.groups)
      .split(r.c, co, ci, r.grid.walkers.channels, guarded)
      .reorder(ci, co, r.jl, r.jn)
      .gpu_blocks(co, r.jl, r.jn)
      .gpu_threads(ci);
  sum_in_block(r, r.block, co);
}

/// The blocks of each channel, and what is made of them: gatherers side by side.
void merge(Reduction& r, const std::vector<Func>& of_channels, const std::vector<Func>& kept) {
  const Var co("co");
  for (Func f : of_channels) {
    f.bound(f.args()[0], 0, r.grid.domain.C);  // what Halide derives is right, but hard to read
  }
  each_channel(of_channels, merged, co);
  const Func& first = of_channels.front();
  for (std::size_t round = 0; round < r.met.size(); ++round) {
    // The sum is in registers: PoCL 3.1 runs what lies between two barriers more than once where
    // both are under a condition.
    r.gathering[round].compute_at(r.gathered[round], r.c);
    r.gathered[round].compute_at(first, co).gpu_threads(r.c, r.k);
    r.parts[round].compute_at(first, co).gpu_threads(r.c, r.k);
    keep_in_block(r.met[round], first, co);
  }
  for (const Func& f : kept) {
    keep_in_block(f, first, co);
  }
}

/// Whether rows of all the data start at multiples of `size` elements, and hold that many.
Expr aligned(const std::vector<Expr>& strides, const Expr& row, int size) {
  Expr all = row % size == 0;
  for (const Expr& stride : strides) {
    all = all && stride % size == 0;
  }
  return all;
}

/// y or dx, neighbouring threads side by side along a row, and where it is short, along the next
/// ones too: as many threads as the row has vectors, or a whole fraction of them. Where there is
/// more to do than fills a device several times, a thread does more rows: what it has to know of
/// its channels costs as much as some elements.
void write_rows(Stage y, const Var& along, const Expr& vectors, const Axes& v, const Expr& rows) {
  const Var io("io"), ii("ii"), no("no"), ni("ni"), r("r"), again("again"), tile("tile");
  constexpr int tiles = 2048;
  const Expr some = min(vectors, 1 << 16);  // what follows may not pass 2^31
  const Expr across = clamp(div_up(some, div_up(some, threads)), 1, threads);
  const Expr down = max(Expr(threads) / across, 1);
  const Expr all = div_up(vectors, across) * div_up(rows, down * v.rows);
  y.split(along, io, ii, across, guarded)
      .split(v.n, no, ni, down * v.rows, guarded)
      .split(ni, r, ni, down, guarded)
      .split(no, no, again, clamp(all / tiles, 1, 8), guarded)
      .reorder(r, again, ii, ni, io, no)
      .unroll(r)
      .gpu_threads(ii, ni)
      .fuse(io, no, tile)  // a grid has one long axis, which takes all that there is to divide
      .gpu_blocks(tile);
}

/// In vectors, or element by element.
void write(Stage y, const Axes& v, const Domain& d, int size) {
  const Var t("t"), e("e"), i("i");
  const Var& dense = d.layout == Layout::NCL ? v.l : v.c;
  y.split(dense, t, e, size, size == 1 ? guarded : TailStrategy::RoundUp);
  if (d.layout == Layout::NCL) {
    y.reorder(e, t, v.c, v.n).fuse(t, v.c, i).vectorize(e);
    write_rows(y, i, d.L / size * d.C, v, d.N);
  } else {
    y.reorder(e, t, v.n).vectorize(e);
    write_rows(y, t, d.C / size, v, d.N);
  }
}

/// In vectors where rows are made of them and they are aligned. (Halide 21 cannot compile vectors
/// of float64 for CUDA.)
void write(Func y, const Axes& v, const Domain& d, const std::vector<Expr>& strides,
           bool vectors = true) {
  y.compute_root();
  if (vectors && y.types()[0].bytes() < 8) {
    write(y.specialize(aligned(strides, d.layout == Layout::NCL ? d.L : d.C, vector)), v, d,
          vector);
  }
  write(Stage(y), v, d, 1);
}

/// Functions of a channel that a thread makes once for all its elements.
void each_thread(const std::vector<Func>& all, const Func& y) {
  for (Func f : all) {
    if (f.defined()) {
      f.compute_at(y, Var("ii")).unroll(f.args()[0]);
    }
  }
}

/// The same of functions that another kernel has made: each thread loads them once.
void load_in_each_thread(const std::vector<Func>& all, const Func& y) {
  std::vector<Func> loaded;
  for (Func f : all) {
    loaded.push_back(f.in());
  }
  each_thread(loaded, y);
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

BlockSizes Gpu::block_sizes(Layout layout, Halide::Type data) const {
  const bool along_rows = layout == Layout::NCL;
  const algorithm::Walkers walkers{.width = along_rows ? warp : 1,
                                   .warps = threads / warp,
                                   .together = together(data),
                                   .channels = along_rows ? 1 : warp,
                                   .halving = shuffles(layout)};
  const int step = threads / walkers.channels * walkers.together;
  return {.block_values = step,
          .min_rows = step,
          .in_double = true,
          .shift_by_first = data.bytes() < 8,
          .guards_nan = true,
          .walkers = walkers,
          .blocks = 2048,
          .gatherers = gatherers};
}

bool Gpu::in_vectors(const Normalize& s) const {
  // Halide 21 has no strict comparison of vectors in OpenCL, which relu(NaN) needs.
  return !(s.rectifies && on_opencl());
}

void Gpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  sum_blocks(m);
  const std::vector<Func> coefficients{s.origin, s.scale, s.offset};
  merge(m, joined(statistics, coefficients), {m.total});
  load_in_each_thread(coefficients, s.y);
  write(s.y, {s.l, s.c, s.n}, m.grid.domain, strides_, in_vectors(s));
}

void Gpu::elementwise(Normalize& s, const Domain& d) const {
  each_thread({s.origin, s.scale, s.offset}, s.y);
  write(s.y, {s.l, s.c, s.n}, d, strides_, in_vectors(s));
}

void Gpu::moments(Reduction& m, const PerChannel& statistics) const {
  sum_blocks(m);
  merge(m, statistics, {m.total});
}

void Gpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Domain& d = s.about_center.grid.domain;
  sum_blocks(s.about_center);
  merge(s.about_center, joined(gradients, coefficients_of(g)), {s.about_center.merged});
  load_in_each_thread(coefficients_of(g), g.dx);
  each_thread({g.origin}, g.dx);
  write(g.dx, {g.l, g.c, g.n}, d, strides_);
  if (g.daddend.defined()) {
    write(g.daddend, {g.l, g.c, g.n}, d, strides_);
  }
}

void Gpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  sum_blocks(s.about_center);
  merge(s.about_center, sums, {s.about_center.merged});
}

void Gpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  each_thread({g.origin, g.a, g.b, g.d}, g.dx);
  write(g.dx, {g.l, g.c, g.n, each / 2}, d, strides_);  // making a, b and d takes registers too
}

void Gpu::per_channel(const PerChannel& outputs) const { each_channel(outputs, few, Var("co")); }

}  // namespace halnorm::schedule
