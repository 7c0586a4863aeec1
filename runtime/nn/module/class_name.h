#pragma once

#include <string>
#include <typeinfo>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::nn {

/// The class as C++ writes it: "mine::Net<3>"; the compiler's own spelling if it cannot be decoded.
std::string full_class_name(const std::type_info& type);

/// The same without namespaces, enclosing functions and template arguments: "Net".
std::string class_name(const std::type_info& type);

}  // namespace halnorm::HALNORM_ABI::nn
