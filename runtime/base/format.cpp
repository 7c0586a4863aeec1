#include "base/format.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// 0.d1d2d3... * 10^point: puts the point among the digits, with zeros where they are missing.
std::string positional(const std::string& digits, int point) {
  const auto count = static_cast<int>(digits.size());
  if (point <= 0) {
    return "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  }
  if (point >= count) {
    return digits + std::string(static_cast<std::size_t>(point - count), '0') + ".0";
  }
  const auto at = static_cast<std::size_t>(point);
  return digits.substr(0, at) + "." + digits.substr(at);
}

}  // namespace

std::string python_float(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(value),
                                 std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  const std::size_t plus = text[e + 1] == '+' ? 1 : 0;  // which from_chars does not take
  int exponent = 0;
  std::from_chars(text.data() + e + 1 + plus, end.ptr, exponent);
  std::string digits(text.substr(0, 1));
  if (e > 2) {
    digits += text.substr(2, e - 2);
  }
  const std::string sign = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    return sign + std::string(text);
  }
  return sign + positional(digits, exponent + 1);
}

std::string to_string(DType dtype) {
  return size_of(dtype) == 0 ? "DType(" + std::to_string(static_cast<int>(dtype)) + ")"
                             : std::string(name_of(dtype));
}

std::string python_bool(bool value) { return value ? "True" : "False"; }

}  // namespace halnorm::HALNORM_ABI::detail
