#pragma once

#include "layout.h"

namespace halnorm::algorithm {

/// An output in steps of whole cache lines, wherever in a line its rows start: what stores past the
/// caches need. Elements of a row's first and last line that are another row's stay untouched.
struct Lines {
  Halide::Func y;  ///< the output: its one definition is an update
  Halide::RDom r;  ///< x: elements of a line, y: lines of a row
};

/// y in lines of `length` elements, the first of which starts where the output does.
Lines in_lines(const Halide::Func& y, const Domain& domain, int length);

}  // namespace halnorm::algorithm
