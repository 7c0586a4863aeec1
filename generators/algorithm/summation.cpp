#include "summation.h"

#include "rounding.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::min;
using Halide::Tuple;

namespace {

Expr div_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

}  // namespace

BlockGrid::BlockGrid(const Domain& d, const Expr& length, const Expr& count)
    : domain(d),
      row_length(length),
      rows(count),
      cuts(div_up(d.L, length)),
      groups(div_up(d.N, count)) {}

BlockGrid::BlockGrid(const Domain& d) : domain(d), row_length(d.L), rows(d.N), cuts(1), groups(1) {}

Expr BlockGrid::row(const Expr& jn, const Expr& r) const {
  return Halide::clamp(first_n(jn) + r, 0, domain.N - 1);
}

Expr BlockGrid::length_at(const Expr& jl) const { return min(row_length, domain.L - first_l(jl)); }

Expr BlockGrid::rows_at(const Expr& jn) const { return min(rows, domain.N - first_n(jn)); }

Expr Place::or_zero(const Expr& value) const {
  return counts.defined() ? select(counts, value, cast(value.type(), 0)) : value;
}

Halide::Type Summation::type_for(const Halide::Type& data) const {
  return in_double ? Halide::Float(64) : accumulator_of(data);
}

Expr Summation::merged_shift(const Halide::Func& shift, const Halide::Var& c) {
  return cast<double>(shift(c));
}

void Reduction::sum(const Terms& terms) {
  block(c, jl, jn) = Tuple(summation->sum(terms)(c, jl, jn));
  merged = summation->merge(block);
}

}  // namespace halnorm::algorithm
