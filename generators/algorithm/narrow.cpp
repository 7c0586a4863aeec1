#include "narrow.h"

#include <cstdint>

namespace halnorm::algorithm {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;

Expr narrow(const Halide::Type& data, const Expr& value) {
  if (data.bits() != 16) {
    return cast(data, value);
  }
  // Halide rounds right, but where the CPU has no instruction its float16 turns every NaN into
  // infinity, and its bfloat16 some of them into infinity or -0. A comparison of the values might
  // be optimized away as one that no number fails, so the bits are asked.
  const Expr magnitude(std::uint32_t{0x7fffffff});
  const Expr infinity(std::uint32_t{0x7f800000});
  const Expr quiet_nan(static_cast<std::uint16_t>(data.is_bfloat() ? 0x7fc0 : 0x7e00));
  const Expr bits = reinterpret(Halide::UInt(32), value);
  return select((bits & magnitude) > infinity, reinterpret(data, quiet_nan), cast(data, value));
}

}  // namespace halnorm::algorithm
