#include "buffer_types.h"

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
  if (!as_bits()) {
    return f;
  }
  Halide::Func bits(f.name() + "_bits");
  bits(f.args()) = schedule::to_bits(dtype_, f(f.args()), has_float16());
  return bits;
}

}  // namespace halnorm
