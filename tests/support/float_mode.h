#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/// @file
/// Floating-point modes of a thread, set in the control register of the CPU.

namespace float_mode {

using Control = std::uint64_t;

#if defined(__x86_64__)
inline constexpr Control flush = 0x8040;  ///< results and operands below the least normal are 0
inline constexpr Control upward = 0x4000;
inline constexpr Control mode = 0xffc0;
inline Control control() { return _mm_getcsr(); }
inline void set_control(Control value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
inline constexpr Control flush = 1U << 24U;
inline constexpr Control upward = 1U << 22U;
inline constexpr Control mode = ~Control{0};
inline Control control() {
  Control value = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
inline void set_control(Control value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
#else
inline constexpr Control flush = 1U << 24U;  ///< NEON always does
inline constexpr Control upward = 1U << 22U;
inline constexpr Control mode = 0x07ffff00;
inline Control control() {
  std::uint32_t value = 0;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(value));
  return value;
}
inline void set_control(Control value) {
  __asm__ volatile("vmsr fpscr, %0" : : "r"(static_cast<std::uint32_t>(value)));
}
#endif

/// Adds the bits of a mode to those of the calling thread, during its lifetime.
class With {
 public:
  explicit With(Control bits) : outer_(control()) { set_control(outer_ | bits); }
  With(const With&) = delete;
  With& operator=(const With&) = delete;
  ~With() { set_control(outer_); }

 private:
  Control outer_;
};

}  // namespace float_mode
