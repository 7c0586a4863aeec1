#include "gpu_small.h"

#include "gpu_sums.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::BlockSizes;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Func, Halide::TailStrategy, Halide::Var;

namespace {

// Rows of a thread whose loads are on their way together.
constexpr int each = 4;

// An output may be its own input: no element is computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// Walks y or dx as the channel's values were walked for their sums: it finds them in the caches.
void write(Func y, const Var& l, const Var& c, const Var& n, const BlockGrid& grid) {
  const Var co("co"), ci("ci"), w("w"), g("g"), u("u"), t("t"), li("li"), ni("ni");
  y.compute_root().split(c, co, ci, grid.walkers.channels, guarded);
  y.split(n, n, ni, grid.down(), guarded).split(n, n, u, each, guarded).unroll(u);
  if (grid.domain.layout == Layout::NCL) {
    y.split(l, l, li, grid.across(), guarded)
        .reorder(u, l, n, li, ni, ci, co)
        .fuse(li, ni, t)
        .split(t, g, w, grid.walkers.width, guarded)
        .gpu_threads(w, g);
  } else {
    y.reorder(u, n, ci, ni, co).gpu_threads(ci, ni);
  }
  y.gpu_blocks(co);
}

/// Outputs with one value per channel, in y's kernel.
void write_channels(const std::vector<Func>& outputs, const Func& y, const Halide::Expr& channels) {
  const Var co("co"), ci("ci");
  for (Func f : outputs) {
    f.compute_root()
        .split(f.args()[0], co, ci, channels, guarded)
        .gpu_blocks(co)
        .gpu_threads(ci)
        .compute_with(y, co);
  }
}

/// Functions of a channel made once for the block; each thread has those of its channel in
/// registers.
void give_to_threads(const std::vector<Func>& all, const Func& y, Layout layout) {
  for (Func f : all) {
    f.in().compute_at(y, Var(layout == Layout::NCL ? "w" : "ci"));
    keep_in_block(f, y, Var("co"));
  }
}

void sum(Reduction& r, const Func& y) {
  const Var co("co");
  sum_in_block(r, y, co);
  keep_in_block(r.merged, y, co);
}

}  // namespace

BlockSizes GpuSmall::block_sizes(Layout layout, Halide::Type data) const {
  // Of OpenCL's devices not all have more.
  const int threads = on_opencl() ? 256 : 512;
  // What one access to memory brings.
  const int channels = layout == Layout::NCL ? 1 : 32 / data.bytes();
  const int walkers = threads / channels;
  const int width = layout == Layout::NCL ? warp : 4;
  return {.whole = true,
          .in_double = true,
          .shift_by_first = data.bytes() < 8,
          .guards_nan = true,
          .walkers = {.width = width,
                      .warps = walkers / width,
                      .together = together(data),
                      .channels = channels,
                      .halving = shuffles(layout)}};
}

void GpuSmall::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  write(s.y, s.l, s.c, s.n, m.grid);
  sum(m, s.y);
  keep_in_block(m.total, s.y, Var("co"));
  keep_in_block(s.invstd, s.y, Var("co"));
  give_to_threads({s.origin, s.scale, s.offset}, s.y, m.grid.domain.layout);
  write_channels(statistics, s.y, m.grid.walkers.channels);
}

void GpuSmall::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const BlockGrid& grid = s.about_center.grid;
  write(g.dx, g.l, g.c, g.n, grid);
  sum(s.about_center, g.dx);
  give_to_threads({g.a, g.b, g.d}, g.dx, grid.domain.layout);
  write_channels(gradients, g.dx, grid.walkers.channels);
}

}  // namespace halnorm::schedule
