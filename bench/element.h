#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace halnorm::bench {

/// What the elements of x, dy and the result are; parameters are float32 beside each of them.
enum class Element : std::uint8_t { F32, F16, BF16 };

/// The one list of the dtypes that the benchmark knows.
inline constexpr Element elements[] = {Element::F32, Element::F16, Element::BF16};

constexpr std::string_view name_of(Element element) {
  constexpr std::string_view names[] = {"f32", "f16", "bf16"};
  return names[static_cast<std::size_t>(element)];
}

constexpr std::size_t size_of(Element element) { return element == Element::F32 ? 4 : 2; }

/// Half a unit in the last place, relative: what storing a result may cost.
constexpr double rounding_of(Element element) {
  constexpr double roundings[] = {0x1p-24, 0x1p-11, 0x1p-8};
  return roundings[static_cast<std::size_t>(element)];
}

/// The float32 that an IEEE binary16 stands for.
constexpr float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 31U;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | wide << 23U | fraction << 13U);
}

/// Cuts to binary16, towards zero; below its smallest normal number to 0.
constexpr std::uint16_t cut_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t exponent = (bits >> 23U) & 255U;
  if (exponent == 255) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (exponent < 113) return static_cast<std::uint16_t>(sign);
  return static_cast<std::uint16_t>(sign | (exponent - 112U) << 10U | ((bits >> 13U) & 0x3FFU));
}

constexpr float from_bf16(std::uint16_t upper) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16U);
}

constexpr std::uint16_t cut_to_bf16(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16U);
}

}  // namespace halnorm::bench
