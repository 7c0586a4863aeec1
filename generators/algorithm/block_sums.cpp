#include "block_sums.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::min;
using Halide::RDom;
using Halide::Tuple;

namespace {

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

/// The guards of the RDoms keep an index in range, which bounds inference cannot see for itself.
Expr within(const Expr& index, const Expr& last) {
  return Halide::unsafe_promise_clamped(index, 0, last);
}

Tuple zeros_like(const Tuple& t) { return {cast(t[0].type(), 0), cast(t[1].type(), 0)}; }

Tuple operator+(const Tuple& a, const Tuple& b) { return {a[0] + b[0], a[1] + b[1]}; }

void sum_rows_of_lanes(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Expr vectors = g.length_at(b.jl) / g.lanes;

  b.full = RDom(0, div_up(g.row_length, g.lanes), 0, g.rows, "full");
  b.full.where(b.full.x < vectors);
  b.full.where(b.full.y < g.domain.N - g.first_n(b.jn));
  const Expr whole_l = within(g.first_l(b.jl) + b.full.x * g.lanes, g.domain.L - g.lanes) + b.u;
  const Tuple whole = terms({whole_l, b.c, g.row(b.jn, b.full.y), b.jl, b.jn});

  b.tail = RDom(0, g.rows, "tail");
  b.tail.where(b.tail.x < g.domain.N - g.first_n(b.jn));
  b.tail.where(b.u < g.length_at(b.jl) % g.lanes);
  // Only the lanes inside the row are read, so the vector may be declared to lie inside it as well.
  const Expr rest_l = within(g.first_l(b.jl) + vectors * g.lanes, g.domain.L - g.lanes) + b.u;
  const Tuple rest = terms({rest_l, b.c, g.row(b.jn, b.tail.x), b.jl, b.jn});

  b.lanes(b.u, b.c, b.jl, b.jn) = zeros_like(whole);
  const Tuple so_far = b.lanes(b.u, b.c, b.jl, b.jn);
  b.lanes(b.u, b.c, b.jl, b.jn) = so_far + whole;
  b.lanes(b.u, b.c, b.jl, b.jn) = so_far + rest;

  b.across = RDom(0, g.lanes, "across");
  b.sums(b.c, b.jl, b.jn) = zeros_like(whole);
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) + Tuple(b.lanes(b.across, b.c, b.jl, b.jn));
}

void sum_rows_of_channels(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Expr first = b.u * g.lanes;  // of the rows that partial sum u adds
  b.down = RDom(0, g.lanes, "down");
  b.down.where(b.down.x < g.rows_at(b.jn) - first);
  const Tuple term = terms({0, b.c, g.row(b.jn, first + b.down.x), b.jl, b.jn});
  b.lanes(b.u, b.c, b.jl, b.jn) = zeros_like(term);
  b.lanes(b.u, b.c, b.jl, b.jn) = Tuple(b.lanes(b.u, b.c, b.jl, b.jn)) + term;

  b.across = RDom(0, div_up(g.rows, g.lanes), "across");
  b.across.where(b.across.x * g.lanes < g.domain.N - g.first_n(b.jn));
  b.sums(b.c, b.jl, b.jn) = zeros_like(term);
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) + Tuple(b.lanes(b.across.x, b.c, b.jl, b.jn));
}

}  // namespace

Halide::Type accumulator_of(const Halide::Type& data) {
  return data.bits() == 64 ? Halide::Float(64) : Halide::Float(32);
}

BlockGrid::BlockGrid(const Domain& d, const BlockSizes& sizes)
    : domain(d), lanes(sizes.lanes), row_length(1), cuts(1) {
  if (d.layout == Layout::NCL) {
    row_length = sizes.row_length;
    cuts = div_up(d.L, row_length);
    rows = Halide::clamp(sizes.block_values / Halide::clamp(d.L, 1, row_length), 1, sizes.max_rows);
  } else {
    rows = Halide::clamp(sizes.block_values / Halide::max(d.C, 1), 16, sizes.max_rows);
  }
  groups = div_up(d.N, rows);
}

Expr BlockGrid::row(const Expr& jn, const Expr& r) const {
  return within(first_n(jn) + r, domain.N - 1);
}

Expr BlockGrid::length_at(const Expr& jl) const { return min(row_length, domain.L - first_l(jl)); }

Expr BlockGrid::rows_at(const Expr& jn) const { return min(rows, domain.N - first_n(jn)); }

Expr BlockGrid::size(const Expr& jl, const Expr& jn) const {
  return cast<double>(length_at(jl) * rows_at(jn));
}

Expr BlockGrid::before(const Expr& jl, const Expr& jn) const {
  return cast<double>(first_n(jn)) * cast<double>(domain.L) +
         cast<double>(first_l(jl)) * cast<double>(rows_at(jn));
}

BlockSums block_sums(const BlockGrid& grid, const Terms& terms) {
  BlockSums b;
  if (grid.domain.layout == Layout::NCL) {
    sum_rows_of_lanes(b, grid, terms);
  } else {
    sum_rows_of_channels(b, grid, terms);
  }
  return b;
}

}  // namespace halnorm::algorithm
