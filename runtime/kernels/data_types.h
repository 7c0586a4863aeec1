#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "halnorm/dtype.h"

/// @file
/// The dtypes of the list in cmake/kernels.cmake, and those that data may have in this build.

namespace halnorm::HALNORM_ABI::detail {

#define HALNORM_DTYPE(name, type) name,
enum class Element : std::uint8_t {
#include "halnorm_known_dtypes.inc"
};
#undef HALNORM_DTYPE

#define HALNORM_DTYPE(name, type) #type,
/// The name of each Element: name_of() its dtype, and Halide's name.
inline constexpr std::string_view element_types[] = {
#include "halnorm_known_dtypes.inc"
};
#undef HALNORM_DTYPE

inline constexpr std::size_t element_count = std::size(element_types);

/// The Element of a dtype that is in the list.
constexpr Element element_of(DType dtype) noexcept {
  for (std::size_t i = 0; i < element_count; ++i) {
    if (element_types[i] == name_of(dtype)) {
      return static_cast<Element>(i);
    }
  }
  return Element{};
}

#define HALNORM_DTYPE(name, type) #type,
/// The dtypes that HALNORM_DTYPES chose.
inline constexpr std::string_view data_dtypes[] = {
#include "halnorm_dtypes.inc"
};
#undef HALNORM_DTYPE

constexpr bool can_be_data(DType dtype) noexcept {
  for (const std::string_view name : data_dtypes) {
    if (name == name_of(dtype)) {
      return true;
    }
  }
  return false;
}

inline constexpr bool has_float64 = can_be_data(DType::Float64);

/// The dtype of weight, bias and running statistics in kernels for data of this dtype.
constexpr DType parameter_dtype(DType data) noexcept {
  return data == DType::Float64 ? DType::Float64 : DType::Float32;
}

/// "float32 or float64", for messages.
std::string data_dtype_names();

}  // namespace halnorm::HALNORM_ABI::detail
