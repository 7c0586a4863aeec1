#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <tuple>

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

/// An operand that only some of the kernels of an operation have.
template <class Operand>
class Argument<std::optional<Operand>> {
 public:
  explicit Argument(const std::optional<Operand>& operand) {
    if (operand) {
      argument_.emplace(*operand);
    }
  }
  [[nodiscard]] const void* get() noexcept { return argument_ ? argument_->get() : nullptr; }

 private:
  std::optional<Argument<Operand>> argument_;
};

/// Runs a kernel on operands in the generator's order: views, channels and doubles. An optional
/// operand without a value is left out.
/// @throws KernelError, named after `function`, with Halide's message.
template <class... Operands>
void run(const char* function, const Kernel& kernel, const Operands&... operands) {
  static_assert(sizeof...(operands) <= most_arguments);
  std::tuple<Argument<Operands>...> arguments(operands...);
  std::array<const void*, sizeof...(operands)> given;
  std::size_t count = 0;
  const auto give = [&](const void* argument) {
    if (argument != nullptr) {
      given[count++] = argument;
    }
  };
  std::apply([&](auto&... each) { (give(each.get()), ...); }, arguments);
  run_kernel(function, kernel, std::span(given.data(), count));
}

}  // namespace halnorm::HALNORM_ABI::detail
