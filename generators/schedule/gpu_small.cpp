#include "gpu_small.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::BlockSums;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Func, Halide::TailStrategy, Halide::Var;

namespace {

// Threads of a block: what every device has.
constexpr int threads = 256;
// Neighbouring channels of a block: few, for the more threads share each. In NLC they are read side
// by side.
constexpr int channels_of(Layout layout) { return layout == Layout::NCL ? 2 : 4; }
// Threads that share a channel.
constexpr int walkers_of(Layout layout) { return threads / channels_of(layout); }
// Values of a thread whose loads are on their way together.
constexpr int each = 4;

// An output may be its own input: no element is computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

/// Walks y or dx in the order in which the channel's values were summed.
void write(Func y, const Var& l, const Var& c, const Var& n, Layout layout) {
  const Var co("co"), ci("ci"), i("i"), w("w"), u("u");
  y.compute_root().split(c, co, ci, channels_of(layout), guarded);
  if (layout == Layout::NCL) {
    y.fuse(l, n, i);
  } else {
    y.rename(n, i);
  }
  y.split(i, i, w, walkers_of(layout), guarded).split(i, i, u, each, guarded).unroll(u);
  // All steps but the last without a condition, so that their loads can be issued together.
  y.partition(i, Halide::Partition::Always);
  if (layout == Layout::NCL) {
    y.reorder(u, i, w, ci, co).gpu_threads(w, ci);
  } else {
    y.reorder(u, i, ci, w, co).gpu_threads(ci, w);
  }
  y.gpu_blocks(co);
}

/// One value per channel, which the block keeps in shared memory. Nothing of it may be made again
/// while y is written, which may be x.
void keep(Func f, const Func& y) { f.compute_at(y, Var("co")).gpu_threads(f.args()[0]); }

/// Outputs with one value per channel, in y's kernel.
void write_channels(const std::vector<Func>& outputs, const Func& y, Layout layout) {
  const Var co("co"), ci("ci");
  for (Func f : outputs) {
    f.compute_root()
        .split(f.args()[0], co, ci, channels_of(layout), guarded)
        .gpu_blocks(co)
        .gpu_threads(ci)
        .compute_with(y, co);
  }
}

void sum(Reduction& r, const Func& y) {
  const Var co("co");
  BlockSums& b = r.part;
  if (r.shift.defined()) {
    r.shift.compute_at(y, co).gpu_threads(r.c);
  }
  b.lane.compute_at(y, co);
  if (r.grid.domain.layout == Layout::NCL) {
    b.lane.gpu_threads(b.w, b.c);
    b.lanes.compute_at(b.lane, b.w);
  } else {
    b.lane.reorder(b.c, b.w).gpu_threads(b.c, b.w);
    b.lanes.compute_at(b.lane, b.c);
  }
  b.lanes.unroll(b.u).update().reorder(b.u, b.full.x).unroll(b.u);
  b.run.compute_at(y, co).gpu_threads(b.row, b.c).update().gpu_threads(b.row, b.c);
  b.sums.compute_at(y, co).gpu_threads(b.c).update().gpu_threads(b.c);
  r.merged.compute_at(y, co).gpu_threads(r.c).update().gpu_threads(r.c);
}

}  // namespace

BlockSizes GpuSmall::block_sizes(Layout layout, Halide::Type /*data*/) const {
  return {.width = walkers_of(layout),
          .lanes = each,
          .row_length = 1,
          .block_values = 1,
          .min_rows = 1,
          .max_rows = 1,
          .in_double = true,
          .whole = true};
}

void GpuSmall::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  const Layout layout = m.grid.domain.layout;
  write(s.y, s.l, s.c, s.n, layout);
  sum(m, s.y);
  for (const Func& f : {m.total, s.invstd, s.scale, s.offset}) {
    keep(f, s.y);
  }
  write_channels(statistics, s.y, layout);
}

void GpuSmall::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Layout layout = s.about_center.grid.domain.layout;
  write(g.dx, g.l, g.c, g.n, layout);
  sum(s.about_center, g.dx);
  for (const Func& f : {g.a, g.b, g.d}) {
    keep(f, g.dx);
  }
  write_channels(gradients, g.dx, layout);
}

}  // namespace halnorm::schedule
