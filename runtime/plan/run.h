#pragma once

#include <array>
#include <tuple>
#include <type_traits>

#include "kernels/call.h"
#include "plan/view.h"

namespace halnorm::HALNORM_ABI::detail {

/// The argument of a kernel for an operand: a buffer for views and channels, a scalar's address.
template <class Operand>
class Argument {
 public:
  explicit Argument(const Operand& operand) : buffer_(operand.buffer()) {}
  [[nodiscard]] const void* get() noexcept { return buffer_.get(); }

 private:
  KernelBuffer buffer_;
};

template <>
class Argument<double> {
 public:
  explicit Argument(const double& scalar) noexcept : scalar_(&scalar) {}
  [[nodiscard]] const void* get() const noexcept { return scalar_; }

 private:
  const double* scalar_;
};

/// Runs a kernel on operands in the generator's order: views, channels and doubles.
/// @throws KernelError, named after `function`, with Halide's message.
template <class... Operands>
void run(const char* function, const Kernel& kernel, const Operands&... operands) {
  std::tuple<Argument<Operands>...> arguments(operands...);
  std::apply([&](auto&... each) { run_kernel(function, kernel, {each.get()...}); }, arguments);
}

}  // namespace halnorm::HALNORM_ABI::detail
