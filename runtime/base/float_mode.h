#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "halnorm/version.h"

/// @file
/// The floating-point mode of a thread: rounding, flush-to-zero, traps. The bits of results depend
/// on it, so that a task has to run in the mode of the thread that made the call.

namespace halnorm::HALNORM_ABI::detail {

#if defined(__x86_64__)
inline constexpr std::uint64_t float_mode_bits = 0xffc0;  // below: flags of past exceptions
inline std::uint64_t float_control() noexcept { return _mm_getcsr(); }
inline void set_float_control(std::uint64_t control) noexcept {
  _mm_setcsr(static_cast<unsigned>(control));
}
#elif defined(__aarch64__)
inline constexpr std::uint64_t float_mode_bits = ~std::uint64_t{0};
inline std::uint64_t float_control() noexcept {
  std::uint64_t control = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
inline void set_float_control(std::uint64_t control) noexcept {
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#elif defined(__arm__)
inline constexpr std::uint64_t float_mode_bits = 0x07ffff00;  // the other bits are flags
inline std::uint64_t float_control() noexcept {
  std::uint32_t control = 0;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(control));
  return control;
}
inline void set_float_control(std::uint64_t control) noexcept {
  __asm__ volatile("vmsr fpscr, %0" : : "r"(static_cast<std::uint32_t>(control)));
}
#endif

/// The mode of the calling thread.
inline std::uint64_t float_mode() noexcept { return float_control() & float_mode_bits; }

/// Sets another mode of the thread during its lifetime.
class InFloatMode {
 public:
  explicit InFloatMode(std::uint64_t mode) noexcept
      : outer_(float_control()), differs_((outer_ & float_mode_bits) != mode) {
    if (differs_) {
      set_float_control(mode | (outer_ & ~float_mode_bits));
    }
  }
  InFloatMode(const InFloatMode&) = delete;
  InFloatMode& operator=(const InFloatMode&) = delete;
  ~InFloatMode() {
    if (differs_) {
      set_float_control(outer_);
    }
  }

 private:
  std::uint64_t outer_;
  bool differs_;
};

}  // namespace halnorm::HALNORM_ABI::detail
