#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "halnorm/dtype.h"

/// @file
/// The element types as C++ types, and the conversions between them. Every conversion rounds once,
/// to nearest even; toward zero for Int64.

namespace halnorm::HALNORM_ABI::detail {

/// IEEE binary16, as bits.
struct Half {
  std::uint16_t bits = 0;
  static constexpr int exponent_bits = 5;
  static constexpr int mantissa_bits = 10;
};

/// The upper half of a float32, as bits.
struct BFloat {
  std::uint16_t bits = 0;
  static constexpr int exponent_bits = 8;
  static constexpr int mantissa_bits = 7;
};

template <class T>
concept Narrow = std::is_same_v<T, Half> || std::is_same_v<T, BFloat>;

/// Rounds a double to a 16-bit format. The function works on the bits of a double, so that it
/// rounds once for every source: float and every 16-bit value are exact in double.
template <Narrow T>
constexpr T round_to(double value) noexcept {
  constexpr int mantissa = T::mantissa_bits;
  constexpr int bias = (1 << (T::exponent_bits - 1)) - 1;
  constexpr std::uint64_t infinity = ((std::uint64_t{1} << T::exponent_bits) - 1) << mantissa;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 63) << 15);
  const auto exponent = static_cast<int>((bits >> 52) & 0x7ff);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  std::uint64_t result = infinity;
  if (exponent == 0x7ff) {
    if (fraction != 0) {  // keep the upper bits of a NaN's payload, and make it quiet
      result |= (std::uint64_t{1} << (mantissa - 1)) | (fraction >> (52 - mantissa));
    }
  } else if (exponent - 1023 <= bias) {
    const int scale = exponent - 1023 + bias;  // the biased exponent; <= 0 for a subnormal
    const int shift = 52 - mantissa + (scale < 1 ? 1 - scale : 0);
    if (shift > 53) {
      result = 0;  // below half of the smallest subnormal; includes subnormal doubles
    } else {
      const std::uint64_t significand = fraction | (std::uint64_t{1} << 52);
      const std::uint64_t kept = significand >> shift;
      const std::uint64_t rest = significand & ((std::uint64_t{1} << shift) - 1);
      const std::uint64_t half = std::uint64_t{1} << (shift - 1);
      const bool up = rest > half || (rest == half && (kept & 1) != 0);
      // The hidden bit of a normal number adds 1 to the exponent, and so does a carry. So
      // subnormals become normal and the largest values infinite without a special case.
      const auto base = static_cast<std::uint64_t>(scale < 1 ? 0 : scale - 1) << mantissa;
      result = base + kept + (up ? 1 : 0);
    }
  }
  return {static_cast<std::uint16_t>(sign | result)};
}

/// The exact value of a 16-bit element.
template <Narrow T>
constexpr double widen(T value) noexcept {
  constexpr int bias = (1 << (T::exponent_bits - 1)) - 1;
  constexpr int top = (1 << T::exponent_bits) - 1;
  const std::uint64_t sign = static_cast<std::uint64_t>(value.bits >> 15) << 63;
  const int exponent = (value.bits >> T::mantissa_bits) & top;
  const auto fraction = static_cast<std::uint64_t>(value.bits & ((1 << T::mantissa_bits) - 1));
  const std::uint64_t shifted = fraction << (52 - T::mantissa_bits);
  if (exponent == top) {
    const std::uint64_t quiet = fraction == 0 ? 0 : std::uint64_t{1} << 51;
    return std::bit_cast<double>(sign | (std::uint64_t{0x7ff} << 52) | quiet | shifted);
  }
  if (exponent == 0) {
    constexpr auto least =  // 2^(1 - bias - mantissa_bits)
        std::bit_cast<double>(static_cast<std::uint64_t>(1024 - bias - T::mantissa_bits) << 52);
    const double magnitude = static_cast<double>(fraction) * least;
    return sign != 0 ? -magnitude : magnitude;
  }
  const auto rebased = static_cast<std::uint64_t>(exponent - bias + 1023) << 52;
  return std::bit_cast<double>(sign | rebased | shifted);
}

/// Converts an integer to a double that rounds to any 16-bit format like the integer itself: the
/// bits that do not fit in a double set one sticky bit instead of being rounded.
constexpr double sticky_double(std::int64_t value) noexcept {
  const auto raw = static_cast<std::uint64_t>(value);
  std::uint64_t magnitude = value < 0 ? 0 - raw : raw;
  if (magnitude >= (std::uint64_t{1} << 53)) {
    constexpr std::uint64_t low = (std::uint64_t{1} << 11) - 1;
    const std::uint64_t sticky = (magnitude & low) != 0 ? low + 1 : 0;
    magnitude = (magnitude & ~low) | sticky;
  }
  const auto result = static_cast<double>(magnitude);
  return value < 0 ? -result : result;
}

/// Rounds toward zero; a NaN becomes 0, and a value out of range the nearest integer in range.
constexpr std::int64_t truncate(double value) noexcept {
  constexpr double limit = 9223372036854775808.0;  // 2^63
  if (value != value) {
    return 0;
  }
  if (value >= limit) {
    return std::numeric_limits<std::int64_t>::max();
  }
  return value < -limit ? std::numeric_limits<std::int64_t>::min()
                        : static_cast<std::int64_t>(value);
}

template <class To, class From>
constexpr To convert(From value) noexcept {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (Narrow<From>) {
    return convert<To>(widen(value));
  } else if constexpr (Narrow<To>) {
    if constexpr (std::is_same_v<From, std::int64_t>) {
      return round_to<To>(sticky_double(value));
    } else {
      return round_to<To>(static_cast<double>(value));
    }
  } else if constexpr (std::is_same_v<To, std::int64_t>) {
    return truncate(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}

/// Calls visitor(T{}) with the C++ type of a dtype.
template <class Visitor>
decltype(auto) visit_dtype(DType dtype, Visitor&& visitor) {
  switch (dtype) {
    case DType::Float16:
      return visitor(Half{});
    case DType::BFloat16:
      return visitor(BFloat{});
    case DType::Float32:
      return visitor(float{});
    case DType::Float64:
      return visitor(double{});
    case DType::Int64:
      break;
  }
  return visitor(std::int64_t{});
}

}  // namespace halnorm::HALNORM_ABI::detail
