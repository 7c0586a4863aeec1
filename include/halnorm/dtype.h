#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "halnorm/version.h"

/// @file
/// Element types.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// Element types of a Tensor. Float16 is IEEE binary16, BFloat16 the upper half of a float32.
enum class DType : std::uint8_t { Float16, BFloat16, Float32, Float64, Int64 };

/// Bytes per element.
constexpr std::size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float16:
    case DType::BFloat16:
      return 2;
    case DType::Float32:
      return 4;
    case DType::Float64:
    case DType::Int64:
      return 8;
  }
  return 0;
}

/// "float16", "bfloat16", "float32", "float64" or "int64".
constexpr std::string_view name_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float16:
      return "float16";
    case DType::BFloat16:
      return "bfloat16";
    case DType::Float32:
      return "float32";
    case DType::Float64:
      return "float64";
    case DType::Int64:
      return "int64";
  }
  return "?";
}

/// True for Float16, BFloat16, Float32 and Float64.
constexpr bool is_floating(DType dtype) noexcept { return dtype <= DType::Float64; }

/// The dtype that holds a C++ element type: float, double or std::int64_t.
template <class T>
struct DTypeOf;
/// The dtype of float.
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::Float32;  ///< the dtype
};
/// The dtype of double.
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::Float64;  ///< the dtype
};
/// The dtype of std::int64_t.
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::Int64;  ///< the dtype
};

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
