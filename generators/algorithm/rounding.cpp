#include "rounding.h"

#include <cstdint>

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;

Halide::Type accumulator_of(const Halide::Type& data) {
  return data.bits() == 64 ? Halide::Float(64) : Halide::Float(32);
}

Expr has_nan_bits(const Expr& value) {
  if (value.type().bits() == 64) {
    const Expr bits = reinterpret(Halide::UInt(64), value);
    return (bits & Expr(std::uint64_t{0x7fffffffffffffff})) >
           Expr(std::uint64_t{0x7ff0000000000000});
  }
  const Expr bits = reinterpret(Halide::UInt(32), value);
  return (bits & Expr(std::uint32_t{0x7fffffff})) > Expr(std::uint32_t{0x7f800000});
}

Expr round_to(const Halide::Type& data, const Expr& value) {
  if (data.bits() != 16) {
    return cast(data, value);
  }
  // Halide rounds correctly. But without an instruction of the CPU, its float16 turns every NaN
  // into infinity, and its bfloat16 some NaNs into infinity or -0.
  const Expr quiet_nan(static_cast<std::uint16_t>(data.is_bfloat() ? 0x7fc0 : 0x7e00));
  return select(has_nan_bits(value), reinterpret(data, quiet_nan), cast(data, value));
}

}  // namespace halnorm::algorithm
