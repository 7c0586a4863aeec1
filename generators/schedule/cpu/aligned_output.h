#pragma once

#include "../../algorithm/layout.h"

namespace halnorm::schedule {

/// An output that is written in whole cache lines, for rows that start anywhere in a line:
/// non-temporal stores need aligned vectors. In the first and last line of a row, elements of other
/// rows are not written.
struct AlignedOutput {
  Halide::Func y;  ///< the output; its definition is an update
  Halide::RDom r;  ///< x: elements of a line, y: lines of a row
};

/// y in lines of `length` elements; the first line starts at the output's first element.
AlignedOutput aligned_output(const Halide::Func& y, const algorithm::Domain& domain, int length);

/// Makes a kernel read and write the first and the last line of a row by masked vectors. Halide
/// alone clamps the index of each element there, which makes gathers and scatters of the vectors,
/// and repeats these without a mask for whole lines, which have a loop of their own. With masked
/// vectors the kernels have 0.55 of the code.
void mask_edges(Halide::Pipeline kernel);

}  // namespace halnorm::schedule
