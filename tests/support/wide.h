#pragma once

#include <cmath>
#include <type_traits>

namespace oracle {

template <class T>
concept Number = std::is_arithmetic_v<T>;

/// A number as the sum of two doubles, with twice the bits of one. The reference computes in this
/// type if long double has no more bits than double, as on 32-bit ARM. Dekker 1971.
class Wide {
 public:
  Wide() noexcept : high_(0), low_(0) {}
  /// Implicit, as conversions of numbers are.
  template <Number T>
  Wide(T value) noexcept  // NOLINT(*-explicit-constructor)
      : high_(static_cast<double>(value)), low_(0) {
    if constexpr (std::is_integral_v<T>) {
      low_ = static_cast<double>(value - static_cast<T>(high_));
    }
  }
  explicit operator double() const noexcept { return high_; }

  friend Wide operator-(const Wide& a) { return {-a.high_, -a.low_}; }
  friend Wide operator+(const Wide& a, const Wide& b) {
    const Wide sum = exact_sum(a.high_, b.high_);
    return exact_sum(sum.high_, sum.low_ + (a.low_ + b.low_));
  }
  friend Wide operator-(const Wide& a, const Wide& b) { return a + -b; }
  friend Wide operator*(const Wide& a, const Wide& b) {
    const Wide product = exact_product(a.high_, b.high_);
    return exact_sum(product.high_, product.low_ + (a.high_ * b.low_ + a.low_ * b.high_));
  }
  friend Wide operator/(const Wide& a, const Wide& b) {
    const double quotient = a.high_ / b.high_;
    return exact_sum(quotient, (a - b * quotient).high_ / b.high_);
  }
  Wide& operator+=(const Wide& b) { return *this = *this + b; }
  Wide& operator/=(const Wide& b) { return *this = *this / b; }

  friend bool operator==(const Wide& a, const Wide& b) {
    return a.high_ == b.high_ && a.low_ == b.low_;
  }
  friend bool operator<(const Wide& a, const Wide& b) {
    return a.high_ < b.high_ || (a.high_ == b.high_ && a.low_ < b.low_);
  }
  friend bool operator>(const Wide& a, const Wide& b) { return b < a; }

  friend Wide root_of(const Wide& a) {
    const double root = std::sqrt(a.high_);
    return root > 0 ? exact_sum(root, (a - exact_product(root, root)).high_ / (2 * root)) : root;
  }
  friend bool is_nan(const Wide& a) { return std::isnan(a.high_); }

 private:
  Wide(double high, double low) noexcept : high_(high), low_(low) {}

  /// Infinities and NaN have no lower part.
  static Wide of(double high, double low) { return {high, std::isfinite(low) ? low : 0.0}; }

  static Wide exact_sum(double a, double b) {
    const double sum = a + b;
    const double of_b = sum - a;
    return of(sum, (a - (sum - of_b)) + (b - of_b));
  }

  static Wide exact_product(double a, double b) {
    const Wide x = halves(a);
    const Wide y = halves(b);
    const double product = a * b;
    return of(product, ((x.high_ * y.high_ - product) + x.high_ * y.low_ + x.low_ * y.high_) +
                           x.low_ * y.low_);
  }

  /// Splits a double into two parts of 26 bits, whose products are exact.
  static Wide halves(double a) {
    const double scaled = 0x1.000002p27 * a;
    const double high = scaled - (scaled - a);
    return {high, a - high};
  }

  double high_, low_;
};

Wide root_of(const Wide& a);
bool is_nan(const Wide& a);

}  // namespace oracle
