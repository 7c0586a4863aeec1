#include <Halide.h>

#include <cstring>
#include <iostream>

/// @file
/// What Halide's compiler says while it makes kernels.

namespace {

/// As Halide does without a reporter, but for one warning: that a CPU without instructions for
/// 16-bit numbers gets others in their place is what the narrow kernels are made for.
class Reporter final : public Halide::CompileTimeErrorReporter {
 public:
  void warning(const char* message) override {
    if (std::strstr(message, "(b)float16 type operation is emulated") == nullptr) {
      std::cerr << message;
    }
  }

  [[noreturn]] void error(const char* message) override { throw Halide::CompileError(message); }
};

/// Halide's main() has no place to call it from.
const bool is_set = [] {
  static Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  return true;
}();

}  // namespace
