#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// The type in which values of this data are computed.
Halide::Type accumulator_of(const Halide::Type& data);

/// Rounds a value of the accumulator's type to the data's type, once, to nearest even. A NaN stays
/// a NaN.
Halide::Expr round_to(const Halide::Type& data, const Halide::Expr& value);

/// Whether a float32 or float64 is a NaN. The function tests the bits, because the compiler may
/// assume that a comparison of a value with itself is always true.
Halide::Expr has_nan_bits(const Halide::Expr& value);

}  // namespace halnorm::algorithm
