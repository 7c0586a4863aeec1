#pragma once

#include <Halide.h>

namespace halnorm::schedule {

/// Two sums as a tuple.
inline Halide::Tuple operator+(const Halide::Tuple& a, const Halide::Tuple& b) {
  return {a[0] + b[0], a[1] + b[1]};
}

/// Two sums of 0, in double.
inline Halide::Tuple zeros() { return {Halide::cast<double>(0), Halide::cast<double>(0)}; }

/// The pairwise sum of value(first) to value(first + count - 1). Each value passes few additions,
/// and the additions are independent of each other.
template <class Value>
Halide::Tuple pairwise_sum(int first, int count, const Value& value) {
  if (count == 1) {
    return value(first);
  }
  return pairwise_sum(first, count / 2, value) +
         pairwise_sum(first + count / 2, count - count / 2, value);
}

/// An index that is in range because of a guard, which bounds inference cannot derive.
inline Halide::Expr within(const Halide::Expr& index, const Halide::Expr& last) {
  return Halide::unsafe_promise_clamped(index, 0, last);
}

}  // namespace halnorm::schedule
