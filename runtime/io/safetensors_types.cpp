#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "io/safetensors.h"

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

template <class Integer>
bool widen(const std::byte* elements, std::size_t count, std::int64_t* result) noexcept {
  bool fits = true;
  for (std::size_t i = 0; i < count; ++i) {
    Integer value = 0;
    std::memcpy(&value, elements + i * sizeof value, sizeof value);
    fits = fits && std::in_range<std::int64_t>(value);
    result[i] = static_cast<std::int64_t>(value);  // NOLINT(bugprone-signed-char-misuse): a number
  }
  return fits;
}

bool widen_bool(const std::byte* elements, std::size_t count, std::int64_t* result) noexcept {
  std::transform(elements, elements + count, result,
                 [](std::byte value) { return value == std::byte{0} ? 0 : 1; });
  return true;
}

constexpr std::array<ElementType, 22> types = {{
    {"F16", 16, DType::Float16, nullptr},
    {"BF16", 16, DType::BFloat16, nullptr},
    {"F32", 32, DType::Float32, nullptr},
    {"F64", 64, DType::Float64, nullptr},
    {"I64", 64, DType::Int64, nullptr},
    {"BOOL", 8, DType::Int64, &widen_bool},
    {"I8", 8, DType::Int64, &widen<std::int8_t>},
    {"U8", 8, DType::Int64, &widen<std::uint8_t>},
    {"I16", 16, DType::Int64, &widen<std::int16_t>},
    {"U16", 16, DType::Int64, &widen<std::uint16_t>},
    {"I32", 32, DType::Int64, &widen<std::int32_t>},
    {"U32", 32, DType::Int64, &widen<std::uint32_t>},
    {"U64", 64, DType::Int64, &widen<std::uint64_t>},
    {"F4", 4, std::nullopt, nullptr},
    {"F6_E2M3", 6, std::nullopt, nullptr},
    {"F6_E3M2", 6, std::nullopt, nullptr},
    {"F8_E4M3", 8, std::nullopt, nullptr},
    {"F8_E4M3FNUZ", 8, std::nullopt, nullptr},
    {"F8_E5M2", 8, std::nullopt, nullptr},
    {"F8_E5M2FNUZ", 8, std::nullopt, nullptr},
    {"F8_E8M0", 8, std::nullopt, nullptr},
    {"C64", 64, std::nullopt, nullptr},
}};

}  // namespace

const ElementType* find_type(std::string_view name) noexcept {
  const auto* const found = std::find_if(
      types.begin(), types.end(), [&](const ElementType& type) { return type.name == name; });
  return found == types.end() ? nullptr : found;
}

std::string_view type_name(DType dtype) noexcept {
  const auto* const found = std::find_if(types.begin(), types.end(), [&](const ElementType& type) {
    return type.dtype == dtype && type.to_int64 == nullptr;
  });
  return found->name;
}

}  // namespace halnorm::HALNORM_ABI::safetensors
