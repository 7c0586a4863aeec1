#include "sums.h"

#include "thread_sums.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::Layout;
using algorithm::Reduction;
using Halide::Func, Halide::Stage, Halide::Var;

namespace {

/// A thread for each of a block's channels. In NLC Halide does not always see that there are no
/// more channels; it then adds a loop over more of them, which is empty. Returns the inner loop.
Var one_for_each_channel(Stage f, const Var& c, int channels) {
  if (channels == 1) {
    return c;
  }
  const Var more("more");
  f.split(c, more, c, channels, Halide::TailStrategy::GuardWithIf).reorder(more, c);
  return more;
}

/// The thread grid of a block: neighbouring threads read neighbouring values. In NCL the warps are
/// the second axis of the block's threads; in NLC the channels are the first. Returns the innermost
/// loop.
Var share_threads(Stage f, const Var& w, const Var& g, const Var& c, const BlockGrid& grid) {
  if (grid.domain.layout == Layout::NCL) {
    f.reorder(w, g, c).gpu_threads(w, g);
    return w;
  }
  const Var t("t");
  f.fuse(w, g, t).reorder(c, t);
  const Var innermost = one_for_each_channel(f, c, threads_of(grid).channels);
  f.gpu_threads(c, t);
  return innermost;
}

/// Reduces the sums of a warp in the registers of its lanes, down to two.
void shuffle(ThreadSums& b) {
  b.shared_sum.reorder(b.w, b.g, b.c).gpu_lanes(b.w).gpu_threads(b.g);
  for (Func f : b.shuffled) {
    f.compute_at(b.shared_sum, b.g)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(b.c, 1)
        .bound_extent(b.g, 1)
        .gpu_lanes(b.w);
  }
}

/// Issues all loads of a step before the first value is added.
void load_pieces(const ThreadSums& b, int piece) {
  for (Func f : b.pieces) {
    f.compute_at(b.thread_sum, b.main.x)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(b.e, piece)
        .vectorize(b.e, piece)
        .unroll(b.t);
  }
}

void sum_across_warps_in_block(CrossWarpSum& m, const Var& g, const Var& c, const Func& at,
                               const Var& block, const BlockGrid& grid) {
  m.warp.compute_at(at, block).reorder(c, g);
  one_for_each_channel(m.warp, c, threads_of(grid).channels);
  m.warp.gpu_threads(c, g);
  keep_in_block(m.all, at, block, grid);
}

}  // namespace

void keep_in_block(Func f, const Func& at, const Var& block, const BlockGrid& grid) {
  const Var c = f.args()[0];
  // An odd number of floats ends within a double. Halide 21 then allocates too little shared memory
  // for the floats after it.
  f.compute_at(at, block).align_storage(c, 2);
  one_for_each_channel(f, c, threads_of(grid).channels);
  f.gpu_threads(c);
  if (f.has_update_definition()) {
    one_for_each_channel(f.update(), c, threads_of(grid).channels);
    f.update().gpu_threads(c);
  }
}

void sum_in_block(Reduction& r, const Func& at, const Var& block) {
  ThreadSums& b = stages_of(r.part);
  if (r.shift.defined() && !r.shift_is_first) {
    keep_in_block(r.shift, at, block, r.grid);
  }
  b.shared_sum.compute_at(at, block);
  const bool warp_shuffle = threads_of(r.grid).warp_shuffle;
  Var innermost = b.w;
  if (warp_shuffle) {
    shuffle(b);
  } else {
    innermost = share_threads(b.shared_sum, b.w, b.g, b.c, r.grid);
  }
  // The values of one thread are in registers.
  const Func& thread = warp_shuffle ? b.shuffled.front() : b.shared_sum;
  b.path.compute_at(thread, innermost);
  b.thread_sum.compute_at(thread, innermost);
  load_pieces(b, threads_of(r.grid).piece);
  if (r.shift_is_first) {
    r.shift.compute_at(thread, innermost);
  }
  sum_across_warps_in_block(b.across_warps, b.g, b.c, at, block, r.grid);
  keep_in_block(r.part.sums, at, block, r.grid);
}

void merge_in_block(Reduction& r, const Func& kept, const Func& at, const Var& block) {
  ThreadPartials& p = stages_of(r);
  p.shared_partial.compute_at(at, block);
  const Var innermost = share_threads(p.shared_partial, p.w, p.g, p.c, r.grid);
  // The sum is in registers, because PoCL 3.1 runs code between two barriers more than once if both
  // are under a condition.
  p.partial.compute_at(p.shared_partial, innermost);
  sum_across_warps_in_block(p.across_warps, p.g, p.c, at, block, r.grid);
  keep_in_block(kept, at, block, r.grid);
}

}  // namespace halnorm::schedule
