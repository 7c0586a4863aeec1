#pragma once

#include <HalideRuntime.h>

#include <cmath>
#include <cstdint>

#include "halnorm/version.h"

/// @file
/// The arguments of the operations in scalar_f64.h, and the code that forwards and backwards share.

namespace halnorm::HALNORM_ABI::detail::scalar_f64 {

/// The elements of a buffer (l, c, n); in a buffer (c, n), l is 0.
class Data {
 public:
  explicit Data(const halide_buffer_t& buffer)
      : first_(reinterpret_cast<double*>(buffer.host)),
        l_(buffer.dimensions == 3 ? buffer.dim[0] : halide_dimension_t{0, 1, 0}),
        c_(buffer.dim[buffer.dimensions - 2]),
        n_(buffer.dim[buffer.dimensions - 1]) {}

  [[nodiscard]] std::int64_t channels() const noexcept { return c_.extent; }
  [[nodiscard]] double count() const noexcept { return double{1} * n_.extent * l_.extent; }
  [[nodiscard]] double& at(std::int64_t n, std::int64_t c, std::int64_t l) const noexcept {
    return first_[n * n_.stride + c * c_.stride + l * l_.stride];
  }

  /// Calls visit(n, l) for each value of a channel.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::int64_t n = 0; n < n_.extent; ++n) {
      for (std::int64_t l = 0; l < l_.extent; ++l) {
        visit(n, l);
      }
    }
  }

 private:
  double* first_;
  halide_dimension_t l_, c_, n_;
};

/// One value per channel.
class Values {
 public:
  explicit Values(const halide_buffer_t& buffer)
      : first_(reinterpret_cast<double*>(buffer.host)), stride_(buffer.dim[0].stride) {}
  double& operator[](std::int64_t c) const noexcept { return first_[c * stride_]; }

 private:
  double* first_;
  std::int64_t stride_;
};

/// A kernel's arguments, in their order.
class Arguments {
 public:
  explicit Arguments(void** first) : next_(first) {}
  Data data() { return Data(*static_cast<const halide_buffer_t*>(*next_++)); }
  Values values() { return Values(*static_cast<const halide_buffer_t*>(*next_++)); }
  double number() { return *static_cast<const double*>(*next_++); }

 private:
  void** next_;
};

inline double invstd_of(double var, double eps) { return 1 / std::sqrt(var + eps); }

/// y = finish((x - mean) * scale + bias, n, l)
template <class Finish>
void normalize(const Data& x, const Data& y, std::int64_t c, double mean, double scale, double bias,
               Finish finish) {
  x.for_each([&](std::int64_t n, std::int64_t l) {
    y.at(n, c, l) = finish((x.at(n, c, l) - mean) * scale + bias, n, l);
  });
}

inline double as_is(double value, std::int64_t /*n*/, std::int64_t /*l*/) { return value; }

}  // namespace halnorm::HALNORM_ABI::detail::scalar_f64
