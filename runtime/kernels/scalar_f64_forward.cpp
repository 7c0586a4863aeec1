#include "kernels/scalar_f64.h"
#include "kernels/scalar_f64_arguments.h"

namespace halnorm::HALNORM_ABI::detail::scalar_f64 {

namespace {

/// The mean. It is corrected by the mean deviation from it, because the rounding errors of a long
/// sum may be larger than the deviations. An infinite mean is not corrected.
void take_moments(const Data& x, std::int64_t c, double& mean, double& m2) {
  double sum = 0;
  x.for_each([&](std::int64_t n, std::int64_t l) { sum += x.at(n, c, l); });
  mean = sum / x.count();
  double rest = 0;
  x.for_each([&](std::int64_t n, std::int64_t l) { rest += x.at(n, c, l) - mean; });
  if (std::isfinite(rest)) {
    mean += rest / x.count();
  }
  m2 = 0;
  x.for_each([&](std::int64_t n, std::int64_t l) {
    const double apart = x.at(n, c, l) - mean;
    m2 += apart * apart;
  });
}

/// Adds the addend and applies relu; a NaN stays a NaN.
auto add_relu(const Data& addend, std::int64_t c, double slope) {
  return [&addend, c, slope](double value, std::int64_t n, std::int64_t l) {
    const double sum = value + addend.at(n, c, l);
    const double below = slope == 0 ? 0 : slope * sum;
    return sum < 0 ? below : sum;
  };
}

}  // namespace

int batch_norm_moments(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Values mean = next.values();
  const Values m2 = next.values();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    take_moments(x, c, mean[c], m2[c]);
  }
  return 0;
}

int batch_norm_elemt(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Values weight = next.values();
  const Values bias = next.values();
  const Values mean = next.values();
  const Values invstd = next.values();
  const Data y = next.data();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    normalize(x, y, c, mean[c], weight[c] * invstd[c], bias[c], as_is);
  }
  return 0;
}

int batch_norm_train(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Values weight = next.values();
  const Values bias = next.values();
  const double eps = next.number();
  const Data y = next.data();
  const Values mean = next.values();
  const Values invstd = next.values();
  const Values m2 = next.values();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    take_moments(x, c, mean[c], m2[c]);
    invstd[c] = invstd_of(m2[c] / x.count(), eps);
    normalize(x, y, c, mean[c], weight[c] * invstd[c], bias[c], as_is);
  }
  return 0;
}

int batch_norm_infer(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Values mean = next.values();
  const Values var = next.values();
  const Values weight = next.values();
  const Values bias = next.values();
  const double eps = next.number();
  const Data y = next.data();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    normalize(x, y, c, mean[c], weight[c] * invstd_of(var[c], eps), bias[c], as_is);
  }
  return 0;
}

int batch_norm_fused_infer(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Data addend = next.data();
  const Values mean = next.values();
  const Values var = next.values();
  const Values weight = next.values();
  const Values bias = next.values();
  const double eps = next.number();
  const double slope = next.number();
  const Data y = next.data();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    normalize(x, y, c, mean[c], weight[c] * invstd_of(var[c], eps), bias[c],
              add_relu(addend, c, slope));
  }
  return 0;
}

int batch_norm_fused_elemt(void** arguments) {
  Arguments next(arguments);
  const Data x = next.data();
  const Data addend = next.data();
  const Values weight = next.values();
  const Values bias = next.values();
  const Values mean = next.values();
  const Values invstd = next.values();
  const double slope = next.number();
  const Data y = next.data();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    normalize(x, y, c, mean[c], weight[c] * invstd[c], bias[c], add_relu(addend, c, slope));
  }
  return 0;
}

}  // namespace halnorm::HALNORM_ABI::detail::scalar_f64
