#include "half_precision.h"

#include <cstdint>

namespace halnorm::schedule {

using Halide::cast;
using Halide::Expr;
using Halide::Float;
using Halide::reinterpret;
using Halide::select;
using Halide::UInt;

namespace {

Expr bits32(std::uint32_t value) { return Expr(value); }

// A float16 has 5 exponent bits with a bias of 15, a float32 has 8 with a bias of 127.
constexpr std::uint32_t rebias = (127 - 15) << 23;

Expr from_float16(const Expr& bits) {
  const Expr magnitude = cast<std::uint32_t>(bits & Expr(std::uint16_t{0x7fff}));
  const Expr sign = cast<std::uint32_t>(bits & Expr(std::uint16_t{0x8000})) << bits32(16);
  const Expr normal = (magnitude << bits32(13)) + bits32(rebias);
  const Expr infinite = (magnitude << bits32(13)) | bits32(0x7f800000);
  // Subnormals are multiples of 2^-24: the conversion of an integer is exact.
  const Expr subnormal = reinterpret(
      UInt(32), cast<float>(cast<std::int32_t>(magnitude)) * Expr(5.9604644775390625e-8F));
  const Expr finite = select(magnitude < bits32(0x400), subnormal, normal);
  return reinterpret(Float(32), select(magnitude >= bits32(0x7c00), infinite, finite) | sign);
}

/// `value` shifted right by `count` bits, rounded to nearest even.
Expr rounded_shift(const Expr& value, std::uint32_t count) {
  const Expr odd = (value >> bits32(count)) & bits32(1);
  return (value + bits32((1U << (count - 1)) - 1) + odd) >> bits32(count);
}

Expr to_float16(const Expr& u) {
  const Expr magnitude = u & bits32(0x7fffffff);
  const Expr sign = (u >> bits32(16)) & bits32(0x8000);
  const Expr normal = rounded_shift(magnitude - bits32(rebias), 13);  // a carry may give infinity
  // Below 2^-14 a float16 has the step 2^-24. A float32 near 0.5 has this step too, so that the
  // addition of 0.5 rounds to it.
  const Expr aligned = Halide::strict_float(reinterpret(Float(32), magnitude) + Expr(0.5F));
  const Expr subnormal = reinterpret(UInt(32), aligned) - bits32(0x3f000000);
  const Expr finite = select(magnitude < bits32(0x38800000), subnormal, normal);
  const Expr number = select(magnitude >= bits32(0x47800000), bits32(0x7c00), finite);
  return select(magnitude > bits32(0x7f800000), bits32(0x7e00), number | sign);
}

Expr to_bfloat16(const Expr& u) {
  return select((u & bits32(0x7fffffff)) > bits32(0x7f800000), bits32(0x7fc0),
                rounded_shift(u, 16));
}

}  // namespace

Expr from_bits(const Halide::Type& data, const Expr& bits, bool has_float16) {
  if (data.is_bfloat()) {
    return reinterpret(Float(32), cast<std::uint32_t>(bits) << bits32(16));
  }
  return has_float16 ? cast<float>(reinterpret(Float(16), bits)) : from_float16(bits);
}

Expr to_bits(const Halide::Type& data, const Expr& value, bool has_float16) {
  const Expr u = reinterpret(UInt(32), value);
  if (!data.is_bfloat() && has_float16) {
    const Expr bits = reinterpret(UInt(16), cast(Float(16), value));
    return select((u & bits32(0x7fffffff)) > bits32(0x7f800000), Expr(std::uint16_t{0x7e00}), bits);
  }
  return cast<std::uint16_t>(data.is_bfloat() ? to_bfloat16(u) : to_float16(u));
}

}  // namespace halnorm::schedule
