#pragma once

#include <Halide.h>

namespace halnorm::schedule {

/// float16 and bfloat16 as 16-bit integers with the same bits, for languages without these types:
/// OpenCL without cl_khr_fp16, and bfloat16 in CUDA. Conversions use integers, so that no driver
/// changes a bit by its rounding or by flushing subnormals. With `has_float16` they use the
/// target's own conversions (CUDA).

/// The value of a number of type `data`, exactly, as float32.
Halide::Expr from_bits(const Halide::Type& data, const Halide::Expr& bits, bool has_float16);

/// A float32 rounded once, to nearest even, to a number of type `data`; a NaN becomes a quiet NaN.
Halide::Expr to_bits(const Halide::Type& data, const Halide::Expr& value, bool has_float16);

}  // namespace halnorm::schedule
