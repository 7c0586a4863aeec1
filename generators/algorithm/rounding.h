#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// The type in which values of this data are computed.
Halide::Type accumulator_of(const Halide::Type& data);

/// A double per channel in the accumulator's type, to be multiplied by or added to values of the
/// data. For bfloat16 a NaN gets zeros in its lower half, as in the data: round_to() relies on it.
Halide::Expr coefficient(const Halide::Type& data, const Halide::Expr& value);

/// Rounds a float32 to a 16-bit type, once, to nearest even. A NaN stays a NaN; for bfloat16 if it
/// is the result of data and coefficients. `converts_float16`: the CPU has an instruction for it.
Halide::Expr round_to(const Halide::Type& data, const Halide::Expr& value, bool converts_float16);

/// Whether a float32 or float64 is a NaN. The function tests the bits, because the compiler may
/// assume that a comparison of a value with itself is always true.
Halide::Expr has_nan_bits(const Halide::Expr& value);

}  // namespace halnorm::algorithm
