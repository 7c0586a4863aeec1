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
void write(const Output& y, int width) {
  const Var co("co"), ci("ci");
  Func(y.f).split(y.c, co, ci, width, guarded).vectorize(ci).reorder(ci, y.n, co);
}

/// Computed in the loop over vectors of channels, and kept on the stack.
void keep(Func f, const LoopLevel& at, int width) {
  const Var c = f.args()[0];
  f.compute_at(at).vectorize(c, width, guarded).bound_storage(c, width);
}

/// The blocks of a vector of channels, one by one.
void sum(Reduction& r, const LoopLevel& at) {
  VectorSums& b = vector_sums_of(r);
  const int width = b.sizes.width;
  keep(r.merged, at, width);
  r.merged.update().reorder(r.c, b.order.x, b.order.y).vectorize(r.c, width, guarded);
  if (r.total.defined()) {
    keep(r.total, at, width);
  }
  const LoopLevel each(r.merged, b.order.y);
  keep(r.block, each, width);
  if (r.shift.defined()) {
    keep(r.shift, at, width);
  }
  sum_in_columns(b, each);
  b.sums.bound_storage(b.c, width);
  if (b.unrolled.defined()) {
    b.unrolled.vectorize(b.c, width, guarded).bound_storage(b.c, width).bound_storage(b.u, 1);
  }
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

std::unique_ptr<algorithm::Summation> CpuSinglePass::summation(const algorithm::Domain& domain,
                                                               const SumOptions& options) const {
  SumOptions whole = options;
  whole.whole = true;
  return architecture_->summation(domain, whole);
}

/// One serial loop. All Funcs of a vector of channels are on the stack or in registers:
///
///     for co: a vector of channels
///       shift; merged = 0
///       sums = 0
///       for group of rows: sums += the terms of its rows
///       for row after the last group: sums += its terms
///       merged += sums; total; invstd, center, offset, scale
///       for n: y
///       mean, invstd, m2
///
/// Instead of ten loops over all channels: docs/performance.md, "small calls, NLC".
void CpuSinglePass::train(Reduction& m, Normalize& s, const Output& y,
                          const PerChannel& statistics) const {
  const int width = vector_sums_of(m).sizes.width;
  write(y, width);
  sum(m, LoopLevel(y.f, Var("co")));
  finish({s.invstd, s.center, s.scale, s.offset}, statistics, y.f, width, strides_);
}

/// The same loop: the sums of two tensors, then the coefficients of dx, dx, dweight and dbias.
void CpuSinglePass::backward(GradientSums& s, InputGradient& g, const Output& dx,
                             const PerChannel& gradients) const {
  const int width = vector_sums_of(s.about_center).sizes.width;
  write(dx, width);
  sum(s.about_center, LoopLevel(dx.f, Var("co")));
  std::vector<Func> all = coefficients_of(g);
  all.push_back(s.center);
  finish(all, gradients, dx.f, width, strides_);
}

}  // namespace halnorm::schedule
