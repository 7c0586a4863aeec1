#pragma once

#include <cstdint>

#include "base/convert.h"

/// @file
/// Rows of neighbouring elements between float32 and the 16-bit formats: the bits of convert() in
/// any floating-point mode, as fast as memory.

namespace halnorm::HALNORM_ABI::detail {

void convert_row(Half* to, const float* from, std::int64_t count) noexcept;
void convert_row(float* to, const Half* from, std::int64_t count) noexcept;
void convert_row(BFloat* to, const float* from, std::int64_t count) noexcept;
void convert_row(float* to, const BFloat* from, std::int64_t count) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
