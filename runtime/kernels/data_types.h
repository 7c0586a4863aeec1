#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "halnorm/dtype.h"

/// @file
/// The dtypes that data may have: those of the list in cmake/kernels.cmake, and what follows from
/// them.

namespace halnorm::detail {

#define HALNORM_DTYPE(name, type) name,
enum class Element : std::uint8_t {
#include "halnorm_dtypes.inc"
};
#undef HALNORM_DTYPE

#define HALNORM_DTYPE(name, type) #type,
/// By Element: name_of() the dtype, which is Halide's name for it as well.
inline constexpr std::string_view element_types[] = {
#include "halnorm_dtypes.inc"
};
#undef HALNORM_DTYPE

inline constexpr std::size_t element_count = std::size(element_types);

/// The dtype's kernels, if there are any.
constexpr std::optional<Element> find_element(DType dtype) noexcept {
  for (std::size_t i = 0; i < element_count; ++i) {
    if (element_types[i] == name_of(dtype)) {
      return static_cast<Element>(i);
    }
  }
  return std::nullopt;
}

/// The same for a dtype that data may have.
constexpr Element element_of(DType dtype) noexcept {
  return find_element(dtype).value_or(Element{});
}

/// What weight, bias and running statistics are beside such data.
constexpr DType parameter_dtype(DType data) noexcept {
  return data == DType::Float64 ? DType::Float64 : DType::Float32;
}

/// "float32 or float64", for messages.
std::string data_dtype_names();

}  // namespace halnorm::detail
