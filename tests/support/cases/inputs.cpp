#include "support/cases/inputs.h"

#include <span>

#include "support/cases/element.h"

namespace inputs {

using halnorm::DType;
using halnorm::Tensor;

double Source::rounded(double value) const { return element::rounded(dtype_, value); }

std::uint64_t Source::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t mixed = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

double Source::uniform(double low, double high) {
  const double unit = static_cast<double>(next() >> 11) * 0x1p-53;
  return rounded(low + (high - low) * unit);
}

double Source::normal() {
  // The sum of twelve uniforms has variance 1, and tails out to 6. Uniforms of 16 bits would add up
  // without a rounding error even in the library, so that the last bits are filled as well.
  double sum = -6.0 + static_cast<double>(next() >> 11) * 0x1p-69;
  for (int draw = 0; draw < 3; ++draw) {
    const std::uint64_t bits = next();
    sum += static_cast<double>((bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) +
                               (bits >> 48)) *
           0x1p-16;
  }
  return rounded(sum);
}

std::vector<double> Source::uniforms(std::int64_t count, double low, double high) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(uniform(low, high));
  }
  return values;
}

std::vector<double> Source::normals(std::int64_t count) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(normal());
  }
  return values;
}

std::vector<double> Source::batch(const shapes::Extents& extents, double mean) {
  std::vector<double> values = normals(extents.numel());
  const double around = element::within(dtype_, mean);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto channel = (static_cast<std::int64_t>(i) / extents.l) % extents.c;
    values[i] = rounded(values[i] + around * (1.0 + 0.1 * static_cast<double>(channel % 5)));
  }
  return values;
}

Layer::Layer(Source& source, std::int64_t channels, double mean) {
  const double around = element::within(source.dtype(), mean);
  Source draws = source.with(element::of_parameters(source.dtype()));
  for (std::int64_t c = 0; c < channels; ++c) {
    weight.push_back(draws.uniform(0.5, 1.5) * (c % 3 == 1 ? -1.0 : 1.0));
    bias.push_back(draws.uniform(-1.0, 1.0));
    running_mean.push_back(draws.rounded(around * (1.0 + 0.1 * static_cast<double>(c % 5)) +
                                         draws.uniform(-0.5, 0.5)));
    running_var.push_back(draws.uniform(0.5, 2.0));
  }
  source = draws.with(source.dtype());
}

std::vector<double> huge_scales(DType dtype) {
  return dtype == DType::Float16 ? std::vector<double>{1e3, 8e3}
                                 : std::vector<double>{1e12, 1e20, 1e30};
}

std::vector<double> extreme_scales(DType dtype) {
  // A float16 below 6e-5 is subnormal: multiples of 6e-8.
  return dtype == DType::Float16 ? std::vector<double>{1e3, 8e3, 1e-4, 1e-6}
                                 : std::vector<double>{1e20, 1e30, 1e-20, 1e-30};
}

Tensor channels(const std::vector<double>& values, DType dtype) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Tensor::from(std::span<const double>(values), {count}).to(dtype);
}

oracle::Values real(const std::vector<double>& values) { return {values.begin(), values.end()}; }

std::vector<double> doubles(const Tensor& tensor) { return tensor.to_vector<double>(); }

}  // namespace inputs
