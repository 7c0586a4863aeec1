#pragma once

#include <string>

namespace halnorm::detail {

/// A number as Python prints a float: the shortest text that reads back as the same number,
/// scientific for exponents below -4 or above 15 ("1e-05", "0.0001", "1.0", "inf").
std::string python_float(double value);

/// "True" or "False".
std::string python_bool(bool value);

}  // namespace halnorm::detail
