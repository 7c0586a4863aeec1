#include "write.h"

#include "sums.h"

namespace halnorm::schedule {

using algorithm::Layout;
using Halide::Expr, Halide::Func, Halide::Stage, Halide::TailStrategy, Halide::Var;

namespace {

// An output may be its own input, so no element may be computed twice.
constexpr auto guarded = TailStrategy::GuardWithIf;

const Var across("across"), down("down");  // the threads of a block
const Var e("e");                          // the values of a vector

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

TailStrategy tail_of(int size) { return size == 1 ? guarded : TailStrategy::RoundUp; }

/// In vectors if rows are aligned and their length is a multiple of `least`; otherwise by elements.
template <class Arrange>
void in_vectors(const Written& y, int least, const Arrange& arrange) {
  Func f = y.f;
  f.compute_root();
  const int size = vector_of(y.type());
  if (y.vectors && size > 1) {
    const Expr& row = y.domain.layout == Layout::NCL ? y.domain.L : y.domain.C;
    arrange(f.specialize(row % least == 0 && aligned(y.strides, row, size)), size);
  }
  arrange(Stage(f), 1);
}

/// Neighbouring threads are side by side along a row; if the row is short, they cover several rows.
/// The number of threads is the row's number of vectors, or a fraction of it. If the work fills a
/// device several times, a thread writes more rows, because the values of its channel cost as much
/// as some elements.
void spread_rows(Stage f, const Var& along, const Expr& vectors, const Written& y) {
  const Var io("io"), no("no"), r("r"), again("again"), tile("tile");
  constexpr int tiles = 2048;
  const Expr some = min(vectors, 1 << 16);  // so that the products below stay under 2^31
  const Expr wide = clamp(div_up(some, div_up(some, y.threads)), 1, y.threads);
  const Expr high = max(Expr(y.threads) / wide, 1);
  const Expr all = div_up(vectors, wide) * div_up(y.domain.N, high * y.rows);
  f.split(along, io, across, wide, guarded)
      .split(y.n, no, down, high * y.rows, guarded)
      .split(down, r, down, high, guarded)
      .split(no, no, again, clamp(all / tiles, 1, 8), guarded)
      .reorder(r, again, across, down, io, no)
      .unroll(r)
      .gpu_threads(across, down)
      .fuse(io, no, tile)  // only one axis of a grid may be long
      .gpu_blocks(tile);
}

}  // namespace

Expr aligned(const std::vector<Expr>& strides, const Expr& row, int size) {
  Expr all = row % size == 0;
  for (const Expr& stride : strides) {
    all = all && stride % size == 0;
  }
  return all;
}

void write_rows(const Written& y) {
  in_vectors(y, vector_of(y.type()), [&](Stage f, int size) {
    const Var t("t"), i("i");
    f.split(y.l, t, e, size, tail_of(size)).reorder(e, t, y.c, y.n).fuse(t, y.c, i).vectorize(e);
    spread_rows(f, i, y.domain.L / size * y.domain.C, y);
  });
}

ThreadBlocks columns_of(const Written& y) {
  constexpr int width = 8;
  const int channels = channels_of(y.type());
  const int rows = y.threads / channels;
  return {y.domain,
          {.width = width, .warps = rows / width, .channels = channels},
          {.blocks = y.blocks,
           .most_in_channel = y.blocks,
           .min_values = rows * vector_of(y.type()) * y.rows}};
}

namespace {

// The loops of a block in the grid: its part of the rows and its rows; its channels in vectors, and
// the channels of a vector.
const Var along("along"), below("below"), ci("ci"), v("v");
// Loops of extent 1, which are fused with the loops over blocks.
const Var once("once"), one("one");

/// The channels get two loops of extent 1, so that a Func of the channel has the same loops as y,
/// which also has loops over blocks of rows.
template <class Schedule>
void cut_channels(Schedule& f, const Var& c, const ThreadBlocks& blocks, int size) {
  const int channels = blocks.threads.channels;
  if (channels > 1) {
    f.split(c, c, v, size, tail_of(size));
  }
  f.split(c, column, ci, channels / size, tail_of(size));
  const Var& of_one = channels > 1 ? v : ci;
  f.split(of_one, once, of_one, size, tail_of(size))
      .split(of_one, one, of_one, size, tail_of(size));
}

void tile_rows(Stage f, const Written& y, const ThreadBlocks& blocks, int size) {
  const Var u("u"), t("t"), jl("jl"), jn("jn");
  const Expr pieces = max(blocks.grid.row_length / size, 1);
  cut_channels(f, y.c, blocks, 1);
  f.split(y.l, y.l, e, size, tail_of(size))
      .split(y.l, jl, y.l, pieces, guarded)
      .split(y.l, y.l, across, threads_across(blocks, pieces), guarded)
      .split(y.n, jn, y.n, blocks.grid.rows, guarded)
      .split(y.n, y.n, down, threads_down(blocks, pieces), guarded)
      .split(y.n, y.n, u, y.rows, guarded)
      .reorder(e, u, y.l, y.n, across, down, ci, column, once, jl, one, jn)
      .vectorize(e)
      .unroll(u)
      .fuse(across, down, t)
      .split(t, down, across, warp, guarded)
      .gpu_threads(across, down)
      .fuse(once, jl, along)
      .fuse(one, jn, below);
}

void tile_columns(Stage f, const Written& y, const ThreadBlocks& blocks, int size) {
  const Var u("u"), next("next"), jn("jn");
  cut_channels(f, y.c, blocks, size);
  f.split(y.n, jn, y.n, blocks.grid.rows, guarded)
      .split(y.n, y.n, down, thread_count(blocks) * size, guarded)
      .split(down, down, next, size, guarded)
      .split(y.n, y.n, u, y.rows, guarded)
      .reorder(v, u, y.n, ci, next, down, column, once, one, jn)
      .vectorize(v)
      .unroll(u)
      .fuse(ci, next, across)
      .gpu_threads(across, down)
      .rename(once, along)
      .fuse(one, jn, below);
}

}  // namespace

void write_blocks(const Written& y, const ThreadBlocks& blocks) {
  const bool along_rows = y.domain.layout == Layout::NCL;
  // In NLC the number of threads in a block must be visible to Halide.
  const int least = along_rows ? vector_of(y.type()) : blocks.threads.channels;
  in_vectors(y, least, [&](Stage f, int size) {
    if (along_rows) {
      tile_rows(f, y, blocks, size);
    } else {
      tile_columns(f, y, blocks, size);
    }
    f.gpu_blocks(column, along, below);
  });
}

void write_channels(const std::vector<Func>& outputs, const Written& y,
                    const ThreadBlocks& blocks) {
  for (Func f : outputs) {
    const Var c = f.args()[0];
    f.compute_root();
    cut_channels(f, c, blocks, 1);
    f.rename(once, along).rename(one, below).reorder(ci, column, along, below);
    if (blocks.threads.channels > 1) {
      f.reorder(v, ci);
    }
    f.gpu_threads(ci).gpu_blocks(column, along, below).compute_with(y.f, column);
  }
}

void give_to_threads(Func f, const Written& y) {
  f.in().compute_at(y.f, across).unroll(f.args()[0]);
}

}  // namespace halnorm::schedule
