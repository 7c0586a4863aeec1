#include "../../algorithm/rounding.h"
#include "cpu.h"

namespace halnorm::schedule {

using algorithm::Domain;
using algorithm::Layout;
using Halide::clamp, Halide::max;
using Halide::Expr, Halide::Func, Halide::Stage, Halide::Var;

namespace {

// The bytes of one coefficient of all channels; there are three or four coefficients.
constexpr int coefficients_in_l1 = 8192;

}  // namespace

void in_vectors(Func f, int width, const Strides& strides) {
  f.vectorize(f.args()[0], width, guarded);
  if (strides.channels.empty()) {
    return;
  }
  Expr dense = strides.channels.front() == 1;
  for (const Expr& step : strides.channels) {
    dense = dense && step == 1;
  }
  f.specialize(dense);
}

/// The stage with y's loops: for an output in cache lines its update.
Stage Cpu::loops_of(const Output& y) { return y.lines.defined() ? Func(y.f).update() : Stage(y.f); }

/// The innermost of y's loops: for an output in cache lines those of a row.
Halide::VarOrRVar Cpu::innermost(const Output& y) {
  if (y.lines.defined()) {
    return y.lines.y;
  }
  return y.f.args().front();
}

/// Rows per task, NLC.
Expr Cpu::rows_per_task(const Domain& d) const {
  return clamp(tuning_.grain_size / max(d.C, 1), 1, 4096);
}

/// The loop along a row.
void Cpu::write_row(Stage loops, const Output& y) const {
  if (y.lines.defined()) {
    // No two lines share an element, which the compiler cannot derive.
    loops.allow_race_conditions().vectorize(y.lines.x);
  } else if (y.domain.layout == Layout::NCL) {
    write_along(loops, y.l, y.type());
  } else {
    write_across(loops, y.c, y.n, y.type());
  }
}

/// Channel groups in parallel, for y or dx in NCL; write_along() splits the loop over l.
///
///     parallel co
///       for n: for ci: for l in vectors: y            a task's channels of a row are contiguous
void Cpu::write_channels(const Output& y, const Var& co, const Var& ci, const Expr& group) const {
  Stage loops = loops_of(y);
  write_row(loops, y);
  loops.split(y.c, co, ci, group, guarded).reorder(innermost(y), ci, y.n, co).parallel(co);
  if (y.lines.defined()) {
    loops.never_partition(co);  // otherwise a smaller last group is not written in lines
  }
}

/// Whole rows in parallel, for y or dx in NLC; write_across() splits the loops over n and c.
///
///     parallel no
///       for n: for c in vectors: y                    if the coefficients stay in L1
///
///     parallel no                                     otherwise: write_wide_rows()
///       for tile: for n: for c in vectors: y
void Cpu::write_rows(const Output& y) const {
  const Var no("no");
  Stage loops = loops_of(y);
  loops.split(y.n, no, y.n, rows_per_task(y.domain), guarded);
  write_row(loops, y);
  loops.reorder(innermost(y), y.n, no).parallel(no);
}

/// A task's rows in tiles of channels, if the coefficients of whole rows would not stay in L1:
/// inference on (128, 4096) 110 to 76 us, backward on (64, 512, 7) 116 to 99 (Zen 4, 1 thread).
/// With smaller rows the second loop costs a quarter. Called before write_rows(), because a
/// specialization copies the schedule at the time of the call.
void Cpu::write_wide_rows(const Output& y) const {
  const Domain& d = y.domain;
  if (d.layout != Layout::NLC || y.lines.defined()) {
    return;
  }
  const Var no("no"), tile("tile");
  const int bytes = algorithm::accumulator_of(y.type()).bytes();
  Stage wide = Func(y.f).specialize(d.C * bytes > coefficients_in_l1);
  wide.split(y.n, no, y.n, rows_per_task(d), guarded)
      .split(y.c, tile, y.c, channel_tile_of(d, step_of(y.type())), guarded);
  write_across(wide, y.c, y.n, y.type());
  wide.reorder(y.c, y.n, tile, no).parallel(no);
}

/// One pass without a reduction: the coefficients first, then rows in parallel. NCL:
///
///     for c in vectors: the coefficients
///     parallel task: (a group of channels co, a group of rows no)
///       for ni: for ci: for l in vectors: y
void Cpu::write_only(const Output& y, const std::vector<Func>& coefficients) const {
  const Domain& d = y.domain;
  const int step = step_of(y.type());
  for (Func f : coefficients) {
    f.compute_root().bound(f.args()[0], 0, d.C);
    in_vectors(f, step, strides_);
  }
  if (d.layout == Layout::NLC) {
    write_rows(y);
    return;
  }
  const Var co("co"), ci("ci"), no("no"), ni("ni"), task("task");
  const Expr row = max(d.L, 1);
  const Expr channels = clamp(tuning_.grain_size / row, 1, max(d.C, 1));
  const Expr rows = clamp(tuning_.grain_size / row / max(d.C, 1), 1, 4096);
  Stage loops = loops_of(y);
  write_row(loops, y);
  loops.split(y.c, co, ci, channels, guarded)
      .split(y.n, no, ni, rows, guarded)
      .reorder(innermost(y), ci, ni, co, no)
      .fuse(co, no, task)
      .parallel(task);
}

}  // namespace halnorm::schedule
