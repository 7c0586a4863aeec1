#pragma once

#include <cstddef>
#include <vector>

#include "halnorm/dtype.h"

/// @file
/// The properties of each dtype, independent of the library: its conversions are not used.

namespace element {

/// The dtypes that kernels are linked for.
const std::vector<halnorm::DType>& linked();

/// "f16", "bf16", "f32" or "f64", as kernels are named.
const char* short_name(halnorm::DType dtype);

/// The dtype of weight, bias and running statistics beside this data: Float64 for Float64, else
/// Float32.
halnorm::DType of_parameters(halnorm::DType data);

/// Unit roundoff: 2^-11, 2^-8, 2^-24 or 2^-53.
double roundoff(halnorm::DType dtype);

/// Half the distance of two neighbours below the least normal value.
double half_subnormal(halnorm::DType dtype);

/// The nearest value of the dtype, the even one of two; infinity if it overflows.
double rounded(halnorm::DType dtype, double value);

/// The value if the dtype's range contains it and some deviations around it, otherwise one near the
/// end of the range.
double within(halnorm::DType dtype, double value);

/// Stores a value that the dtype holds; any NaN becomes a quiet one.
void store(halnorm::DType dtype, double value, std::byte* to);
double load(halnorm::DType dtype, const std::byte* from);

}  // namespace element
