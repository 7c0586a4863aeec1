#pragma once

#include "../schedule.h"

namespace halnorm::schedule {

/// y, written in whole cache lines of `length` elements, for rows that start anywhere in a line:
/// non-temporal stores need aligned vectors. The first line starts at the output's first element.
/// In the first and last line of a row, elements of other rows are not written. The definition of
/// the output is an update over `lines`: x are the elements of a line, y the lines of a row.
Output aligned_output(const Halide::Func& y, const algorithm::Domain& domain, int length);

/// Makes a kernel read and write the first and the last line of a row by masked vectors. Halide
/// alone clamps the index of each element there, which makes gathers and scatters of the vectors,
/// and repeats these without a mask for whole lines, which have a loop of their own. With masked
/// vectors the kernels have 0.55 of the code.
void mask_edges(Halide::Pipeline kernel);

}  // namespace halnorm::schedule
