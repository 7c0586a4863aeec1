#include <Halide.h>

#include <cstring>
#include <iostream>

/// @file
/// The warnings of Halide's compiler while it makes kernels.

namespace {

/// Reports like Halide's default, except for two kinds of warnings. That the CPU has no
/// instructions for 16-bit numbers is not reported, because the kernels for 16-bit data are written
/// for this case. A stage that a schedule forgets, or a directive without effect, is an error.
class Reporter final : public Halide::CompileTimeErrorReporter {
 public:
  void warning(const char* message) override {
    for (const char* fault : {"has not been scheduled", "It is meaningless to"}) {
      if (std::strstr(message, fault) != nullptr) {
        throw Halide::CompileError(message);
      }
    }
    if (std::strstr(message, "(b)float16 type operation is emulated") == nullptr) {
      std::cerr << message;
    }
  }

  [[noreturn]] void error(const char* message) override { throw Halide::CompileError(message); }
};

/// A static object sets the reporter, because Halide's main() has no place for the call.
const bool is_set = [] {
  static Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  return true;
}();

}  // namespace
