#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// A value of the accumulator's type as data: rounded once, to nearest even, and a NaN stays one.
Halide::Expr narrow(const Halide::Type& data, const Halide::Expr& value);

/// Whether a float32 or float64 is a NaN. The bits are asked, since a comparison of the values
/// might be optimized away as one that no number fails.
Halide::Expr has_nan_bits(const Halide::Expr& value);

}  // namespace halnorm::algorithm
