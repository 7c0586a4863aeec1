// One generated kernel alone: its header, its function, halide_buffer_t's, and nothing else of
// halnorm. The build names the header and the function; in a program of your own write
//   #include "halnorm_batch_norm_infer_nlc_f32__avx2.h"
// and link halnorm::kernels.
#include <HalideBuffer.h>
#include <halnorm/kernel_runtime.h>

#include HALNORM_KERNEL_HEADER

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

namespace {

constexpr int C = 37;
constexpr int N = 50;
constexpr double eps = 1e-5;

using Buffer = Halide::Runtime::Buffer<float>;  // passes itself on as a halide_buffer_t*

/// Smooth values in [low, low + 2], other ones for each phase.
std::vector<float> wave(int count, float low, float phase) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = low + 1.0F + std::sin(phase + 0.7F * static_cast<float>(i));
  }
  return values;
}

/// The largest |y - expected| / (1 + |expected|), where expected is computed in double.
double largest_error(const std::vector<float>& x, const std::vector<float>& mean,
                     const std::vector<float>& var, const std::vector<float>& weight,
                     const std::vector<float>& bias, const std::vector<float>& y) {
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i % C;
    const double expected =
        (double{x[i]} - mean[c]) / std::sqrt(var[c] + eps) * weight[c] + bias[c];
    const double error = std::abs(y[i] - expected) / (1.0 + std::abs(expected));
    largest =
        std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(largest, error);
  }
  return largest;
}

/// Halide's own handler ends the process; with this one a kernel returns an error code.
void report(void* /*user_context*/, const char* message) { std::fprintf(stderr, "%s\n", message); }

}  // namespace

int main() {
  halnorm_halide_set_error_handler(report);
  std::vector<float> x = wave(N * C, -1, 0);
  std::vector<float> mean = wave(C, -1, 1);
  std::vector<float> var = wave(C, 0.5, 2);
  std::vector<float> weight = wave(C, 0, 3);
  std::vector<float> bias = wave(C, -1, 4);
  std::vector<float> y(x.size(), std::numeric_limits<float>::quiet_NaN());

  // Dimension 0 is the innermost: the channels, then the N (or N * L) rows.
  Buffer x_buffer(x.data(), C, N);
  Buffer mean_buffer(mean.data(), C);
  Buffer var_buffer(var.data(), C);
  Buffer weight_buffer(weight.data(), C);
  Buffer bias_buffer(bias.data(), C);
  Buffer y_buffer(y.data(), C, N);
  const int status =
      HALNORM_KERNEL(x_buffer, mean_buffer, var_buffer, weight_buffer, bias_buffer, eps, y_buffer);
  if (status != 0) {
    std::fprintf(stderr, "the kernel returned %d\n", status);
    return 1;
  }

  const double error = largest_error(x, mean, var, weight, bias, y);
  // The rounding of a float is 2^-24 relative; y takes a handful of them.
  const double allowed = 8 * std::ldexp(1.0, -24);
  std::printf("largest relative error %.2g, allowed %.2g\n", error, allowed);
  return error <= allowed ? 0 : 1;
}
