#pragma once

#include <string>

#include "halnorm/dtype.h"

namespace halnorm::HALNORM_ABI::detail {

/// A number as Python prints a float: the shortest text that reads back as the same number,
/// scientific for exponents below -4 or above 15 ("1e-05", "0.0001", "1.0", "inf").
std::string python_float(double value);

/// "float32"; "DType(77)" for a value that is not in the enumeration.
std::string to_string(DType dtype);

/// "True" or "False".
std::string python_bool(bool value);

}  // namespace halnorm::HALNORM_ABI::detail
