#include "vector_sums.h"

#include "../tuple_math.h"

namespace halnorm::schedule {

using algorithm::BlockGrid;
using algorithm::Domain;
using algorithm::Layout;
using algorithm::Terms;
using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::min;
using Halide::RDom;
using Halide::select;
using Halide::Tuple;

namespace {

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

Tuple zeros_like(const Tuple& t) { return {cast(t[0].type(), 0), cast(t[1].type(), 0)}; }

Tuple to_double(const Tuple& t) { return {cast<double>(t[0]), cast<double>(t[1])}; }

BlockGrid cut(const Domain& d, const BlockSizes& sizes) {
  const Expr values = sizes.block_values;
  if (d.layout == Layout::NCL) {
    const Expr length = sizes.row_length;
    return {d, length, clamp(values / clamp(d.L, 1, length), 1, sizes.max_rows)};
  }
  return {d, 1, clamp(values / max(d.C, 1), sizes.min_rows, sizes.max_rows)};
}

}  // namespace

VectorSums::VectorSums(const Domain& d, const BlockSizes& block_sizes, const SumOptions& options)
    : Summation(options.whole ? BlockGrid(d) : cut(d, block_sizes), options.in_double),
      sizes(block_sizes),
      far_apart_(options.whole || sizes.channels_apart == 0 ? Expr(false)
                                                            : d.C <= sizes.channels_apart) {}

/// The vector tail of a row. The last vector is shifted back to end with the row, and its values
/// that were added before count 0. So nothing outside of the row is read, and no lane is masked.
Tuple VectorSums::vector_tail_of(const Terms& terms) const {
  const Expr length = grid.length_at(jl);
  const Expr start = length / step() * step() + vector_tail.x * sizes.width;
  const Expr last = length - sizes.width;
  const Expr l = within(grid.first_l(jl) + min(start, last), grid.domain.L - sizes.width) + w;
  const Tuple t = terms({l, c, grid.row(jn, vector_tail.y)});
  const Expr is_new = w >= start - last;
  return {select(is_new, t[0], cast(t[0].type(), 0)), select(is_new, t[1], cast(t[1].type(), 0))};
}

/// Defines lane.
void VectorSums::add_lanes() {
  lane(w, c, jl, jn) =
      pairwise_sum(0, sizes.lanes, [&](int i) { return to_double(Tuple(lanes(w, i, c, jl, jn))); });
}

/// Defines row_sum.
void VectorSums::add_short_rows(const Terms& terms) {
  const Expr length = grid.length_at(jl);
  scalar_tail = RDom(0, sizes.width, "scalar_tail");
  scalar_tail.where(scalar_tail.x < length);
  const Expr l = within(grid.first_l(jl) + scalar_tail.x, grid.domain.L - 1);
  const Tuple scalar = terms({l, c, grid.row(jn, row)});
  row_sum(row, c, jl, jn) = zeros();
  row_sum(row, c, jl, jn) = Tuple(row_sum(row, c, jl, jn)) + to_double(scalar);
}

void VectorSums::sum_rows_of_lanes(const Terms& terms) {
  const Expr length = grid.length_at(jl);
  const Expr count = grid.domain.N - grid.first_n(jn);

  main = RDom(0, div_up(grid.row_length, step()), 0, grid.rows, "main");
  main.where(main.x < length / step() && main.y < count);
  const Expr l =
      within(grid.first_l(jl) + main.x * step(), grid.domain.L - step()) + u * sizes.width + w;
  const Tuple t = terms({l, c, grid.row(jn, main.y)});

  vector_tail = RDom(0, sizes.lanes, 0, grid.rows, "vector_tail");
  vector_tail.where(vector_tail.x * sizes.width < length % step() && vector_tail.y < count &&
                    length >= sizes.width);

  add_short_rows(terms);
  rows = RDom(0, grid.rows, "rows");
  rows.where(rows.x < count && length < sizes.width);

  lanes(w, u, c, jl, jn) = zeros_like(t);
  lanes(w, u, c, jl, jn) = Tuple(lanes(w, u, c, jl, jn)) + t;
  lanes(w, vector_tail.x, c, jl, jn) =
      Tuple(lanes(w, vector_tail.x, c, jl, jn)) + vector_tail_of(terms);

  add_lanes();
  across = RDom(0, sizes.width, "across");
  sums(c, jl, jn) = zeros();
  sums(c, jl, jn) = Tuple(sums(c, jl, jn)) + Tuple(lane(across, c, jl, jn));
  sums(c, jl, jn) = Tuple(sums(c, jl, jn)) + Tuple(row_sum(rows.x, c, jl, jn));
}

void VectorSums::sum_rows_of_channels(const Terms& terms) {
  const Expr count = grid.rows_at(jn);
  const int group = sizes.lanes;
  across = RDom(0, div_up(grid.rows, group), "across");
  across.where(across.x < count / group);
  tail = RDom(0, group, "tail");
  tail.where(tail.x < count % group);
  const auto row_at = [&](const Expr& r) { return terms({0, c, grid.row(jn, r)}); };
  // The distance of a group's rows, and of the first rows of groups.
  const Expr apart = select(far_apart_, count / group, 1);
  const Expr next = select(far_apart_, 1, group);
  const auto group_at = [&](const Expr& first) {
    return pairwise_sum(0, group, [&](int i) { return row_at(first * next + i * apart); });
  };
  if (!sizes.slow_masks) {
    unrolled(u, c, jl, jn) = group_at(u);
  }
  sums(c, jl, jn) = zeros();
  sums(c, jl, jn) =
      Tuple(sums(c, jl, jn)) +
      to_double(sizes.slow_masks ? group_at(across.x) : Tuple(unrolled(across.x, c, jl, jn)));
  sums(c, jl, jn) = Tuple(sums(c, jl, jn)) + to_double(row_at(count / group * group + tail.x));
}

Func VectorSums::sum(const Terms& terms) {
  if (grid.domain.layout == Layout::NCL) {
    sum_rows_of_lanes(terms);
  } else {
    sum_rows_of_channels(terms);
  }
  return sums;
}

Func VectorSums::merge(const Func& block) {
  Func merged("merged");
  merged(c) = zeros();
  order = RDom(0, grid.cuts, 0, grid.groups, "order");
  merged(c) = Tuple(merged(c)) + Tuple(block(c, order.x, order.y));
  return merged;
}

}  // namespace halnorm::schedule
