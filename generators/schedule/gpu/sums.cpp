#include "sums.h"

namespace halnorm::schedule {

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
Var share_threads(Stage f, const Var& w, const Var& g, const Var& c, const ThreadBlocks& blocks) {
  if (blocks.grid.domain.layout == Layout::NCL) {
    f.reorder(w, g, c).gpu_threads(w, g);
    return w;
  }
  const Var t("t");
  f.fuse(w, g, t).reorder(c, t);
  const Var innermost = one_for_each_channel(f, c, blocks.threads.channels);
  f.gpu_threads(c, t);
  return innermost;
}

/// Reduces the sums of a warp in the registers of its lanes, down to two.
void shuffle(ThreadSums& s) {
  s.shared_sum.reorder(s.w, s.g, s.c).gpu_lanes(s.w).gpu_threads(s.g);
  for (Func f : s.shuffled) {
    f.compute_at(s.shared_sum, s.g)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(s.c, 1)
        .bound_extent(s.g, 1)
        .gpu_lanes(s.w);
  }
}

/// Issues all loads of a step before the first value is added.
void load_pieces(const ThreadSums& s) {
  const int piece = s.blocks.threads.piece;
  for (Func f : s.pieces) {
    f.compute_at(s.thread_sum, s.main.x)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(s.e, piece)
        .vectorize(s.e, piece)
        .unroll(s.t);
  }
}

void sum_across_warps_in_block(CrossWarpSum& m, const ThreadSums& s, const Func& at,
                               const Var& block) {
  m.warp.compute_at(at, block).reorder(s.c, s.g);
  one_for_each_channel(m.warp, s.c, s.blocks.threads.channels);
  m.warp.gpu_threads(s.c, s.g);
  keep_in_block(m.all, at, block, s.blocks);
}

}  // namespace

void keep_in_block(Func f, const Func& at, const Var& block, const ThreadBlocks& blocks) {
  const Var c = f.args()[0];
  // An odd number of floats ends within a double. Halide 21 then allocates too little shared memory
  // for the floats after it.
  f.compute_at(at, block).align_storage(c, 2);
  one_for_each_channel(f, c, blocks.threads.channels);
  f.gpu_threads(c);
  if (f.has_update_definition()) {
    one_for_each_channel(f.update(), c, blocks.threads.channels);
    f.update().gpu_threads(c);
  }
}

void sum_in_block(Reduction& r, const Func& at, const Var& block) {
  ThreadSums& s = thread_sums_of(r);
  if (r.shift.defined() && !r.shift_is_first) {
    keep_in_block(r.shift, at, block, s.blocks);
  }
  s.shared_sum.compute_at(at, block);
  const bool warp_shuffle = s.blocks.threads.warp_shuffle;
  Var innermost = s.w;
  if (warp_shuffle) {
    shuffle(s);
  } else {
    innermost = share_threads(s.shared_sum, s.w, s.g, s.c, s.blocks);
  }
  // The values of one thread are in registers.
  const Func& thread = warp_shuffle ? s.shuffled.front() : s.shared_sum;
  s.path.compute_at(thread, innermost);
  s.thread_sum.compute_at(thread, innermost);
  load_pieces(s);
  if (r.shift_is_first) {
    r.shift.compute_at(thread, innermost);
  }
  sum_across_warps_in_block(s.across_warps, s, at, block);
  keep_in_block(s.sums, at, block, s.blocks);
}

void merge_in_block(Reduction& r, const Func& kept, const Func& at, const Var& block) {
  ThreadSums& s = thread_sums_of(r);
  s.shared_partial.compute_at(at, block);
  const Var innermost = share_threads(s.shared_partial, s.w, s.g, s.c, s.blocks);
  // The sum is in registers, because PoCL 3.1 runs code between two barriers more than once if both
  // are under a condition.
  s.partial.compute_at(s.shared_partial, innermost);
  sum_across_warps_in_block(s.across_partials, s, at, block);
  keep_in_block(kept, at, block, s.blocks);
}

}  // namespace halnorm::schedule
