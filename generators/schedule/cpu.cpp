#include "cpu.h"

#include <utility>

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;
using Halide::Expr, Halide::Func, Halide::LoopLevel, Halide::Var;

namespace {

constexpr int value_or(int tuned, int otherwise) { return tuned != 0 ? tuned : otherwise; }

}  // namespace

std::vector<Func> coefficients_of(const InputGradient& g) {
  std::vector<Func> all;
  for (const Func& f : {g.center, g.a, g.b, g.d, g.a_low}) {
    if (f.defined()) {
      all.push_back(f);
    }
  }
  return all;
}

Cpu::Cpu(const Halide::Target& target, const Tuning& tuned, const Tuning& own, Strides strides)
    : target_(target),
      tuning_{.grain_size = value_or(tuned.grain_size, own.grain_size),
              .channel_tile = value_or(tuned.channel_tile, own.channel_tile),
              .chunk_elements = value_or(tuned.chunk_elements, own.chunk_elements),
              .l2_bytes = value_or(tuned.l2_bytes, own.l2_bytes)},
      strides_(std::move(strides)) {}

/// Statistics and the pass that uses them. In NCL one parallel region: a task reads its channels
/// again while they are in cache. In NLC two regions, because the channels of a row are neighbours.
/// `bytes` of each element are read twice.
void Cpu::reduce_and_write(Reduction& r, Func y, const Axes& v,
                           const std::vector<Func>& coefficients, const PerChannel& outputs,
                           int bytes) const {
  const Domain& d = r.grid.domain;
  if (d.layout == Layout::NLC) {
    reduce_rows(r);
    for (Func f : coefficients) {
      f.compute_root();
      in_vectors(f, r.grid.width, strides_);
    }
    for (Func f : outputs) {
      f.vectorize(f.args()[0], r.grid.width, guarded);
    }
    write_rows(y, v, d);
    return;
  }
  const Var co("co"), ci("ci");
  const Expr group = channels_per_task(d, bytes);
  write_channels(y, v, d, co, ci, group);
  reduce_channels(r, LoopLevel(y, co));
  for (Func f : coefficients) {
    f.compute_at(y, co);
    in_vectors(f, natural(Halide::Float(64)), strides_);
  }
  for (Func f : outputs) {
    f.split(f.args()[0], co, ci, group, guarded).parallel(co).compute_with(loops_of(y, v), co);
  }
}

void Cpu::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  const Axes axes = axes_of({s.l, s.c, s.n, s.cache_lines}, m.grid.domain);
  write_wide_rows(s.y, axes, m.grid.domain);
  reduce_and_write(m, s.y, axes, {s.invstd, s.center, s.scale, s.offset}, statistics,
                   s.y.types()[0].bytes());
}

void Cpu::elementwise(Normalize& s, const Domain& d) const {
  const Axes axes = axes_of({s.l, s.c, s.n, s.cache_lines}, d);
  write_wide_rows(s.y, axes, d);
  write_only(s.y, axes, d, {s.invstd, s.center, s.scale, s.offset});
}

void Cpu::moments(Reduction& m, const PerChannel& statistics) const { reduce_only(m, statistics); }

void Cpu::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  const Axes axes = axes_of({g.l, g.c, g.n, g.cache_lines}, s.about_center.grid.domain);
  write_wide_rows(g.dx, axes, s.about_center.grid.domain);
  std::vector<Func> all = coefficients_of(g);
  all.push_back(s.center);
  reduce_and_write(s.about_center, g.dx, axes, all, gradients, 2 * g.dx.types()[0].bytes());
}

void Cpu::backward_reduce(GradientSums& s, const PerChannel& sums) const {
  s.center.compute_root();
  reduce_only(s.about_center, sums);
}

void Cpu::backward_elementwise(InputGradient& g, const Domain& d) const {
  const Axes axes = axes_of({g.l, g.c, g.n, g.cache_lines}, d);
  write_wide_rows(g.dx, axes, d);
  write_only(g.dx, axes, d, coefficients_of(g));
}

void Cpu::rectified(algorithm::Rectified& r, const Domain& d) const {
  const Axes axes = axes_of({r.l, r.c, r.n, r.cache_lines}, d);
  write_wide_rows(r.dx, axes, d);
  write_only(r.dx, axes, d, {});
}

void Cpu::per_channel(const PerChannel& outputs) const {
  for (Func f : outputs) {
    f.vectorize(f.args()[0], natural(f.types()[0]), guarded);
  }
}

}  // namespace halnorm::schedule
