#pragma once

#include <Halide.h>

namespace halnorm::algorithm {

/// A value of the accumulator's type as data: rounded once, to nearest even, and a NaN stays one.
Halide::Expr narrow(const Halide::Type& data, const Halide::Expr& value);

}  // namespace halnorm::algorithm
