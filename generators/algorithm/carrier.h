#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// float16 and bfloat16 as the 16-bit integers of their bits, where a language has no such types:
/// OpenCL without cl_khr_fp16, and CUDA for bfloat16. In integers, so that no driver's rounding or
/// flushing of subnormals changes a bit; `has_float16`: by the target's own conversions, CUDA's.

/// The value of a number of type `data`, exactly, as float32.
Halide::Expr from_bits(const Halide::Type& data, const Halide::Expr& bits, bool has_float16);

/// A float32 rounded once, to nearest even, to a number of type `data`; a NaN gives a quiet NaN.
Halide::Expr to_bits(const Halide::Type& data, const Halide::Expr& value, bool has_float16);

}  // namespace halnorm::algorithm
