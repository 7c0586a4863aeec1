#include "gpu_sums.h"

namespace halnorm::schedule {

using algorithm::BlockSums;
using algorithm::Layout;
using algorithm::Reduction;
using Halide::Func, Halide::Stage, Halide::Var;

namespace {

/// A thread for each walker, whose neighbours read the neighbouring values. The warps of walkers
/// are the second axis of the block's threads in NCL; in NLC the first is the channels.
void walk(Stage f, const BlockSums& b, Layout layout) {
  if (layout == Layout::NCL) {
    f.reorder(b.w, b.g, b.c).gpu_threads(b.w, b.g);
  } else {
    const Var t("t");
    f.fuse(b.w, b.g, t).reorder(b.c, t).gpu_threads(b.c, t);
  }
}

/// The sums of a warp meet in registers of its lanes, down to two.
void shuffle(BlockSums& b) {
  b.walked.reorder(b.w, b.g, b.c).gpu_lanes(b.w).gpu_threads(b.g);
  for (Func half : b.halves) {
    half.compute_at(b.walked, b.g)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(b.c, 1)
        .bound_extent(b.g, 1)
        .gpu_lanes(b.w);
  }
}

}  // namespace

void keep_in_block(Func f, const Func& at, const Var& block) {
  f.compute_at(at, block).gpu_threads(f.args()[0]);
  if (f.has_update_definition()) {
    f.update().gpu_threads(f.args()[0]);
  }
}

void sum_in_block(Reduction& r, const Func& at, const Var& block) {
  BlockSums& b = r.part;
  const Layout layout = r.grid.domain.layout;
  if (r.shift.defined() && !r.shift_is_first) {
    keep_in_block(r.shift, at, block);
  }
  // What belongs to one walker is in registers.
  const bool halving = r.grid.walkers.halving;
  const Func& walker = halving ? b.halves.front() : b.walked;
  const Var& innermost = layout == Layout::NCL ? b.w : b.c;
  b.path.compute_at(walker, innermost);
  b.walk.compute_at(walker, innermost);
  if (r.shift_is_first) {
    r.shift.compute_at(walker, innermost);
  }
  b.walked.compute_at(at, block);
  if (halving) {
    shuffle(b);
  } else {
    walk(b.walked, b, layout);
  }
  b.warp.compute_at(at, block).reorder(b.c, b.g).gpu_threads(b.c, b.g);
  keep_in_block(b.sums, at, block);
}

}  // namespace halnorm::schedule
