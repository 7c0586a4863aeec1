#pragma once

#include <Halide.h>

#include <vector>

namespace halnorm::algorithm {

/// The innermost axis in memory.
enum class Layout {
  NCL,  ///< L: x(l, c, n)
  NLC,  ///< C: x(c, n), in which n counts the N * L rows of C values
};

/// The extents of a call, and the index of an element in its layout.
struct Domain {
  Layout layout;
  Halide::Expr L, C, N;  ///< in NLC L is 1 and N counts all rows

  /// Values per channel, in double: the product may pass 2^31.
  [[nodiscard]] Halide::Expr count() const {
    return Halide::cast<double>(L) * Halide::cast<double>(N);
  }

  /// The index of an element, for a definition or a use.
  template <class Index>
  [[nodiscard]] std::vector<Index> index(const Index& l, const Index& c, const Index& n) const {
    return layout == Layout::NCL ? std::vector<Index>{l, c, n} : std::vector<Index>{c, n};
  }

  [[nodiscard]] Halide::Expr at(const Halide::Func& f, const Halide::Expr& l, const Halide::Expr& c,
                                const Halide::Expr& n) const {
    return f(index(l, c, n));
  }
};

/// The extents of x in the given layout.
template <class Buffer>
Domain domain_of(const Buffer& x, Layout layout) {
  return layout == Layout::NCL
             ? Domain{layout, x.dim(0).extent(), x.dim(1).extent(), x.dim(2).extent()}
             : Domain{layout, 1, x.dim(0).extent(), x.dim(1).extent()};
}

}  // namespace halnorm::algorithm
