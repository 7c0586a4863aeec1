#include "single_pass.h"

#include "cpu.h"

namespace halnorm::schedule {

using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Func, Halide::LoopLevel, Halide::Var;

namespace {

/// A loop over vectors of channels, each for all rows.
void write(Func y, const Var& c, const Var& n, int width) {
  const Var co("co"), ci("ci");
  y.split(c, co, ci, width, guarded).vectorize(ci).reorder(ci, n, co);
}

/// Computed in the loop over vectors of channels, and kept on the stack.
void keep(Func f, const LoopLevel& at, int width) {
  const Var c = f.args()[0];
  f.compute_at(at).vectorize(c, width, guarded).bound_storage(c, width);
}

/// The blocks of a vector of channels, one by one.
void sum(Reduction& r, const LoopLevel& at) {
  const int width = r.grid.width;
  keep(r.merged, at, width);
  r.merged.update().reorder(r.c, r.order.x, r.order.y).vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    keep(r.total, at, width);
  }
  const LoopLevel each(r.merged, r.order.y);
  keep(r.block, each, width);
  if (r.shift.defined()) {
    keep(r.shift, at, width);
  }
  sum_in_columns(r, each);
  r.part.sums.bound_storage(r.part.c, width);
  r.part.unrolled.vectorize(r.part.c, width, guarded)
      .bound_storage(r.part.c, width)
      .bound_storage(r.part.u, 1);
}

/// The other Funcs that use the sums, except y.
void finish(const std::vector<Func>& coefficients, const PerChannel& outputs, const Func& y,
            int width, const Strides& strides) {
  const Var co("co"), ci("ci");
  for (Func f : coefficients) {
    f.compute_at(y, co).bound_storage(f.args()[0], width);
    in_vectors(f, width, strides);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, width, guarded).vectorize(ci).compute_with(y, co);
  }
}

}  // namespace

algorithm::BlockSizes CpuSinglePass::block_sizes(algorithm::Layout layout, Halide::Type data,
                                                 bool in_double) const {
  algorithm::BlockSizes sizes = architecture_->block_sizes(layout, data, in_double);
  sizes.whole = true;
  sizes.lanes_of_several = 0;  // all rows stay in the L1 cache
  return sizes;
}

/// One serial loop. All Funcs of a vector of channels are on the stack or in registers:
///
///     for co: a vector of channels
///       shift; merged = 0
///       sums = 0
///       for group of rows: unrolled = the terms of its rows; sums += unrolled
///       for row after the last group: sums += its terms
///       merged += sums; total; invstd, center, offset, scale
///       for n: y
///       mean, invstd, m2
///
/// Instead of ten loops over all channels: docs/performance.md, "small calls, NLC".
void CpuSinglePass::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  write(s.y, s.c, s.n, m.grid.width);
  sum(m, LoopLevel(s.y, Var("co")));
  finish({s.invstd, s.center, s.scale, s.offset}, statistics, s.y, m.grid.width, strides_);
}

/// The same loop: the sums of two tensors, then the coefficients of dx, dx, dweight and dbias.
void CpuSinglePass::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const int width = s.about_center.grid.width;
  write(g.dx, g.c, g.n, width);
  sum(s.about_center, LoopLevel(g.dx, Var("co")));
  std::vector<Func> all = coefficients_of(g);
  all.push_back(s.center);
  finish(all, gradients, g.dx, width, strides_);
}

}  // namespace halnorm::schedule
