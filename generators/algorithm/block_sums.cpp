#include "block_sums.h"

#include "tuple_math.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::min;
using Halide::RDom;
using Halide::select;
using Halide::Tuple;

namespace {

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

Tuple zeros_like(const Tuple& t) { return {cast(t[0].type(), 0), cast(t[1].type(), 0)}; }

Tuple in_double(const Tuple& t) { return {cast<double>(t[0]), cast<double>(t[1])}; }

/// Defines lane.
void add_lanes(BlockSums& b, const BlockGrid& g) {
  b.lane(b.w, b.c, b.jl, b.jn) = pairwise_sum(
      0, g.lanes, [&](int u) { return in_double(Tuple(b.lanes(b.w, u, b.c, b.jl, b.jn))); });
}

/// The vector tail of a row. The last vector is shifted back to end with the row, and its values
/// that were added before count 0. So nothing outside of the row is read, and no lane is masked.
Tuple vector_tail_of(const BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Expr length = g.length_at(b.jl);
  const Expr start = length / g.step() * g.step() + b.vector_tail.x * g.width;
  const Expr last = length - g.width;
  const Expr l = within(g.first_l(b.jl) + min(start, last), g.domain.L - g.width) + b.w;
  const Tuple t = terms({l, b.c, g.row(b.jn, b.vector_tail.y), b.jl, b.jn});
  const Expr is_new = b.w >= start - last;
  return {select(is_new, t[0], cast(t[0].type(), 0)), select(is_new, t[1], cast(t[1].type(), 0))};
}

void sum_rows_of_lanes(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Expr length = g.length_at(b.jl);
  const Expr rows = g.domain.N - g.first_n(b.jn);

  b.main = RDom(0, div_up(g.row_length, g.step()), 0, g.rows, "main");
  b.main.where(b.main.x < length / g.step() && b.main.y < rows);
  const Expr main_l =
      within(g.first_l(b.jl) + b.main.x * g.step(), g.domain.L - g.step()) + b.u * g.width + b.w;
  const Tuple main = terms({main_l, b.c, g.row(b.jn, b.main.y), b.jl, b.jn});

  b.vector_tail = RDom(0, g.lanes, 0, g.rows, "vector_tail");
  b.vector_tail.where(b.vector_tail.x * g.width < length % g.step() && b.vector_tail.y < rows &&
                      length >= g.width);

  b.scalar_tail = RDom(0, g.width, "scalar_tail");
  b.scalar_tail.where(b.scalar_tail.x < length);
  const Expr scalar_l = within(g.first_l(b.jl) + b.scalar_tail.x, g.domain.L - 1);
  const Tuple scalar = terms({scalar_l, b.c, g.row(b.jn, b.row), b.jl, b.jn});
  b.row_sum(b.row, b.c, b.jl, b.jn) = zeros();
  b.row_sum(b.row, b.c, b.jl, b.jn) = Tuple(b.row_sum(b.row, b.c, b.jl, b.jn)) + in_double(scalar);
  b.rows = RDom(0, g.rows, "rows");
  b.rows.where(b.rows.x < rows && length < g.width);

  b.lanes(b.w, b.u, b.c, b.jl, b.jn) = zeros_like(main);
  b.lanes(b.w, b.u, b.c, b.jl, b.jn) = Tuple(b.lanes(b.w, b.u, b.c, b.jl, b.jn)) + main;
  b.lanes(b.w, b.vector_tail.x, b.c, b.jl, b.jn) =
      Tuple(b.lanes(b.w, b.vector_tail.x, b.c, b.jl, b.jn)) + vector_tail_of(b, g, terms);

  add_lanes(b, g);
  b.across = RDom(0, g.width, "across");
  b.sums(b.c, b.jl, b.jn) = zeros();
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) + Tuple(b.lane(b.across, b.c, b.jl, b.jn));
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) + Tuple(b.row_sum(b.rows.x, b.c, b.jl, b.jn));
}

/// The terms of `count` rows from row `first` on, at a distance of `apart` rows.
Tuple sum_of_rows(const BlockSums& b, const BlockGrid& g, const Terms& terms, const Expr& first,
                  int count, const Expr& apart) {
  return pairwise_sum(0, count, [&](int i) {
    return terms({0, b.c, g.row(b.jn, first + i * apart), b.jl, b.jn});
  });
}

void sum_rows_of_channels(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Expr rows = g.rows_at(b.jn);
  b.across = RDom(0, div_up(g.rows, g.lanes), "across");
  b.across.where(b.across.x < rows / g.lanes);
  b.tail = RDom(0, g.lanes, "tail");
  b.tail.where(b.tail.x < rows % g.lanes);
  b.unrolled(b.u, b.c, b.jl, b.jn) =
      sum_of_rows(b, g, terms, b.u * g.group_step(), g.lanes, g.apart(b.jn));
  b.sums(b.c, b.jl, b.jn) = zeros();
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) + in_double(Tuple(b.unrolled(b.across.x, b.c, b.jl, b.jn)));
  b.sums(b.c, b.jl, b.jn) =
      Tuple(b.sums(b.c, b.jl, b.jn)) +
      in_double(sum_of_rows(b, g, terms, rows / g.lanes * g.lanes + b.tail.x, 1, 1));
}

}  // namespace

Halide::Type accumulator_of(const Halide::Type& data) {
  return data.bits() == 64 ? Halide::Float(64) : Halide::Float(32);
}

Halide::Type sum_type_of(const Halide::Type& data, const BlockSizes& sizes) {
  return sizes.in_double ? Halide::Float(64) : accumulator_of(data);
}

Expr Place::or_zero(const Expr& value) const {
  return counts.defined() ? select(counts, value, cast(value.type(), 0)) : value;
}

BlockSizes BlockSizes::reading(int tensors) const {
  BlockSizes sizes = *this;
  if (tensors > 1) {
    sizes.channels_apart = channels_apart_of_several;
    sizes.lanes = lanes_of_several != 0 ? lanes_of_several : lanes;
  }
  if (device) {
    sizes.device = device->reading(tensors);
  }
  return sizes;
}

BlockGrid::BlockGrid(const Domain& d, const BlockSizes& sizes)
    : domain(d),
      width(sizes.width),
      lanes(sizes.lanes),
      whole(sizes.whole),
      far_apart(sizes.whole || sizes.channels_apart == 0 ? Expr(false)
                                                         : d.C <= sizes.channels_apart),
      device(sizes.device) {
  if (device) {
    device->cut(*this, sizes);
  } else {
    cut_for_vectors(sizes);
  }
  cuts = whole ? Expr(1) : div_up(d.L, row_length);
  groups = whole ? Expr(1) : div_up(d.N, rows);
}

void BlockGrid::cut_for_vectors(const BlockSizes& sizes) {
  const Expr values = sizes.block_values;
  if (whole) {
    row_length = domain.L;
    rows = domain.N;
  } else if (domain.layout == Layout::NCL) {
    row_length = sizes.row_length;
    rows = Halide::clamp(values / Halide::clamp(domain.L, 1, row_length), 1, sizes.max_rows);
  } else {
    row_length = 1;
    rows = Halide::clamp(values / Halide::max(domain.C, 1), sizes.min_rows, sizes.max_rows);
  }
}

Expr BlockGrid::apart(const Expr& jn) const { return select(far_apart, rows_at(jn) / lanes, 1); }

Expr BlockGrid::group_step() const { return select(far_apart, 1, lanes); }

Expr BlockGrid::row(const Expr& jn, const Expr& r) const {
  return Halide::clamp(first_n(jn) + r, 0, domain.N - 1);
}

Expr BlockGrid::length_at(const Expr& jl) const { return min(row_length, domain.L - first_l(jl)); }

Expr BlockGrid::rows_at(const Expr& jn) const { return min(rows, domain.N - first_n(jn)); }

BlockSums block_sums(const BlockGrid& grid, const Terms& terms) {
  BlockSums b;
  if (grid.device) {
    grid.device->sum_block(b, grid, terms);
  } else if (grid.domain.layout == Layout::NCL) {
    sum_rows_of_lanes(b, grid, terms);
  } else {
    sum_rows_of_channels(b, grid, terms);
  }
  return b;
}

}  // namespace halnorm::algorithm
