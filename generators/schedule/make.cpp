#include "x86.h"

namespace halnorm::schedule {

std::unique_ptr<Schedule> make(const Halide::Target& target, const Tuning& tuning) {
  if (target.arch != Halide::Target::X86) {
    throw Halide::CompileError("no schedule for the target " + target.to_string());
  }
  return std::make_unique<X86>(target, tuning);
}

}  // namespace halnorm::schedule
