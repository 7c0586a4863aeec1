#include <cmath>
#include <numbers>
#include <random>
#include <string>

#include "base/convert.h"
#include "base/format.h"
#include "halnorm/error.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI {

namespace {

/// The natural logarithm of a positive normal number, from operations that IEEE 754 rounds alike
/// everywhere (std::log is not one): with m in [2/3, 4/3), log(m * 2^e) = e * log(2) + 2 *
/// atanh(f), f = (m - 1) / (m + 1), |f| <= 1/5. The series' next term is below 0.2^24 / 25 = 7e-19
/// of f.
double portable_log(double value) {
  int exponent = 0;
  double m = std::frexp(value, &exponent);  // in [1/2, 1)
  if (m < 2.0 / 3.0) {
    m *= 2.0;
    --exponent;
  }
  const double f = (m - 1.0) / (m + 1.0);
  const double square = f * f;
  double series = 1.0 / 23.0;
  for (int k = 21; k >= 1; k -= 2) {
    series = std::fma(series, square, 1.0 / k);
  }
  return std::fma(static_cast<double>(exponent), std::numbers::ln2, 2.0 * f * series);
}

/// Marsaglia's polar method over a generator whose output the C++ standard fixes
/// (std::normal_distribution's it does not). Sums of products are written as fma, so that a
/// compiler's choice to contract them changes nothing.
class NormalSource {
 public:
  explicit NormalSource(std::uint64_t seed) : generator_(seed) {}

  double next() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double u = 0.0;
    double v = 0.0;
    double s = 0.0;
    do {
      u = symmetric_uniform();
      v = symmetric_uniform();
      s = std::fma(u, u, v * v);
    } while (s >= 1.0 || s == 0.0);
    const double scale = std::sqrt(-2.0 * portable_log(s) / s);
    spare_ = v * scale;
    has_spare_ = true;
    return u * scale;
  }

 private:
  /// A multiple of 2^-52 in [-1, 1).
  double symmetric_uniform() {
    const auto bits = static_cast<std::int64_t>(generator_()) >> 11;
    return static_cast<double>(bits) * 0x1p-52;
  }

  std::mt19937_64 generator_;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace

Tensor Tensor::randn(Shape shape, std::uint64_t seed, DType dtype, Device device) {
  if (!is_floating(dtype)) {
    throw DTypeError("Tensor::randn: got " + detail::to_string(dtype) +
                     ", wanted a floating point dtype");
  }
  if (device != Device::cpu()) {
    return randn(std::move(shape), seed, dtype).to(device);
  }
  Tensor result = detail::TensorAccess::make("Tensor::randn", shape, dtype, device);
  NormalSource source(seed);
  detail::visit_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    T* first = static_cast<T*>(result.raw_data());
    for (std::int64_t i = 0; i < result.numel(); ++i) {
      first[i] = detail::convert<T>(source.next());
    }
  });
  return result;
}

}  // namespace halnorm::HALNORM_ABI
