#include "buffer_types.h"

#include "algorithm/rounding.h"
#include "schedule/gpu/half_precision.h"

namespace halnorm {

Halide::Func BufferTypes::values(const Halide::Func& buffer) const {
  if (!as_bits()) {
    return buffer;
  }
  Halide::Func f("values");
  f(Halide::_) = schedule::from_bits(dtype_, buffer(Halide::_), has_float16());
  return f;
}

Halide::Func BufferTypes::stored(const Halide::Func& f) const {
  if (dtype_.bits() != 16) {
    return f;
  }
  const Halide::Expr value = f(f.args());
  Halide::Func rounded(f.name() + "_rounded");
  rounded(f.args()) = as_bits() ? schedule::to_bits(dtype_, value, has_float16())
                                : algorithm::round_to(dtype_, value, converts_float16());
  return rounded;
}

}  // namespace halnorm
