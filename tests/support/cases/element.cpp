#include "support/cases/element.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "halnorm/kernels.h"

namespace element {

using halnorm::DType;

namespace {

/// A binary format: its precision, the hidden bit included, and its exponents.
struct Format {
  int precision;
  int least;     ///< exponent of the least normal value
  int greatest;  ///< and of the greatest
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return {11, -14, 15};
    case DType::BFloat16:
      return {8, -126, 127};
    case DType::Float32:
      return {24, -126, 127};
    default:
      return {53, -1022, 1023};
  }
}

// Every element of every test is rounded here. std::ldexp, std::ilogb and std::nearbyint would take
// half of the time of an emulated test.

/// 2^exponent.
double power_of_two(int exponent) {
  return exponent < -1022
             ? std::ldexp(1.0, exponent)
             : std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// The exponent of a finite value; for zero and subnormals it is below the least of any format.
int exponent_of(double value) {
  return static_cast<int>((std::bit_cast<std::uint64_t>(value) >> 52) & 0x7ff) - 1023;
}

bool is_narrow(DType dtype) { return dtype == DType::Float16 || dtype == DType::BFloat16; }

/// The bits of a value that the 16-bit format holds.
std::uint16_t encode(const Format& format, double value) {
  const int mantissa = format.precision - 1;
  const int top = 2 * format.greatest + 1;  // the exponent field of infinity and NaN
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  int bits = top << mantissa;
  if (std::isnan(value)) {
    bits += 1 << (mantissa - 1);
  } else if (size < power_of_two(format.least)) {
    bits = static_cast<int>(size * power_of_two(mantissa - format.least));
  } else if (!std::isinf(value)) {
    const int exponent = exponent_of(size);
    const int fraction =
        static_cast<int>(size * power_of_two(mantissa - exponent)) - (1 << mantissa);
    bits = ((exponent + format.greatest) << mantissa) + fraction;
  }
  return static_cast<std::uint16_t>(sign + bits);
}

double decode(const Format& format, std::uint16_t bits) {
  const int mantissa = format.precision - 1;
  const int exponent = (bits & 0x7fff) >> mantissa;
  const int fraction = bits & ((1 << mantissa) - 1);
  double size = 0;
  if (exponent == 2 * format.greatest + 1) {
    size = fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
  } else if (exponent == 0) {
    size = fraction * power_of_two(format.least - mantissa);
  } else {
    size = (fraction + (1 << mantissa)) * power_of_two(exponent - format.greatest - mantissa);
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

}  // namespace

const std::vector<DType>& linked() {
  // The list is made once, because every case of every test reads it, and ctest starts a process
  // for each test.
  static const std::vector<DType> all = [] {
    std::vector<DType> found;
    const auto kernels = halnorm::kernels();
    for (const DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
      // The kernels of running statistics have the dtypes of parameters, and are in every build.
      if (std::any_of(kernels.begin(), kernels.end(), [&](const auto& kernel) {
            return kernel.layout != "c" && kernel.dtype == short_name(dtype);
          })) {
        found.push_back(dtype);
      }
    }
    return found;
  }();
  return all;
}

const char* short_name(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return "f16";
    case DType::BFloat16:
      return "bf16";
    case DType::Float32:
      return "f32";
    default:
      return "f64";
  }
}

DType of_parameters(DType data) { return data == DType::Float64 ? DType::Float64 : DType::Float32; }

double roundoff(DType dtype) { return power_of_two(-format_of(dtype).precision); }

double half_subnormal(DType dtype) {
  const Format format = format_of(dtype);
  return power_of_two(format.least - format.precision);
}

double rounded(DType dtype, double value) {
  if (dtype == DType::Float64 || !std::isfinite(value) || value == 0) {
    return value;
  }
  const Format format = format_of(dtype);
  const int exponent = std::max(exponent_of(value), format.least);
  // The last place of a sum with this value is that of the format, so that the addition rounds to
  // nearest even.
  const double shift = 0x1.8p52 * power_of_two(exponent - format.precision + 1);
  const double near = std::copysign((std::fabs(value) + shift) - shift, value);
  const double limit = power_of_two(format.greatest + 1);
  return std::fabs(near) < limit ? near : std::copysign(HUGE_VAL, value);
}

double within(DType dtype, double value) {
  return dtype == DType::Float16 ? std::clamp(value, -3e4, 3e4) : value;
}

void store(DType dtype, double value, std::byte* to) {
  if (is_narrow(dtype)) {
    const std::uint16_t bits = encode(format_of(dtype), value);
    std::memcpy(to, &bits, sizeof bits);
  } else if (dtype == DType::Float32) {
    const auto narrow = static_cast<float>(value);
    std::memcpy(to, &narrow, sizeof narrow);
  } else {
    std::memcpy(to, &value, sizeof value);
  }
}

double load(DType dtype, const std::byte* from) {
  if (is_narrow(dtype)) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from, sizeof bits);
    return decode(format_of(dtype), bits);
  }
  if (dtype == DType::Float32) {
    float narrow = 0;
    std::memcpy(&narrow, from, sizeof narrow);
    return narrow;
  }
  double value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace element
