#include "support/inputs.h"

#include <span>

namespace inputs {

using halnorm::DType;
using halnorm::Tensor;

double Source::rounded(double value) const {
  return dtype_ == DType::Float32 ? double{static_cast<float>(value)} : value;
}

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
  // Twelve uniforms have variance 1, and tails out to 6. Of 16 bits each they would add up without
  // a rounding error even in the library, so the last bits are filled as well.
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
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto channel = (static_cast<std::int64_t>(i) / extents.l) % extents.c;
    values[i] = rounded(values[i] + mean * (1.0 + 0.1 * static_cast<double>(channel % 5)));
  }
  return values;
}

Layer::Layer(Source& source, std::int64_t channels, double mean) {
  for (std::int64_t c = 0; c < channels; ++c) {
    weight.push_back(source.uniform(0.5, 1.5) * (c % 3 == 1 ? -1.0 : 1.0));
    bias.push_back(source.uniform(-1.0, 1.0));
    running_mean.push_back(source.rounded(mean * (1.0 + 0.1 * static_cast<double>(c % 5)) +
                                          source.uniform(-0.5, 0.5)));
    running_var.push_back(source.uniform(0.5, 2.0));
  }
}

Tensor channels(const std::vector<double>& values, DType dtype) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Tensor::from(std::span<const double>(values), {count}).to(dtype);
}

oracle::Values real(const std::vector<double>& values) { return {values.begin(), values.end()}; }

std::vector<double> doubles(const Tensor& tensor) { return tensor.to_vector<double>(); }

}  // namespace inputs
