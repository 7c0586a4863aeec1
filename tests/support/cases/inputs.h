#pragma once

#include <cstdint>
#include <vector>

#include "halnorm/tensor.h"
#include "support/cases/shapes.h"
#include "support/oracle.h"

/// @file
/// Values for the tests, the same on every machine, exact in the dtype under test: the oracle and
/// the library start from the same numbers.

namespace inputs {

/// A source of values that a dtype holds exactly.
class Source {
 public:
  Source(std::uint64_t seed, halnorm::DType dtype) : state_(seed), dtype_(dtype) {}

  double uniform(double low, double high);
  /// A value of mean 0 and standard deviation 1.
  double normal();
  /// The nearest value of the dtype.
  [[nodiscard]] double rounded(double value) const;

  [[nodiscard]] halnorm::DType dtype() const { return dtype_; }
  /// The same source from here on, of values that another dtype holds.
  [[nodiscard]] Source with(halnorm::DType dtype) const { return {state_, dtype}; }

  std::vector<double> uniforms(std::int64_t count, double low, double high);
  std::vector<double> normals(std::int64_t count);
  /// Dense (N, C, L) values of standard deviation 1 around about `mean`, another one in each
  /// channel, or around a mean within the dtype's range.
  std::vector<double> batch(const shapes::Extents& extents, double mean);

 private:
  /// SplitMix64 (Steele, Lea and Flood 2014): std::mt19937_64 would take half of a test's time.
  std::uint64_t next();

  std::uint64_t state_;
  halnorm::DType dtype_;
};

/// The parameters and running statistics of a layer, in the parameters' dtype of the source.
struct Layer {
  std::vector<double> weight;  ///< of either sign, never near zero
  std::vector<double> bias;
  std::vector<double> running_mean;
  std::vector<double> running_var;

  Layer(Source& source, std::int64_t channels, double mean);
};

/// Factors that bring the squares of values out of their accumulator's range, or values near an end
/// of their own range.
std::vector<double> huge_scales(halnorm::DType dtype);
std::vector<double> extreme_scales(halnorm::DType dtype);

/// A (C) tensor of values the dtype holds.
halnorm::Tensor channels(const std::vector<double>& values, halnorm::DType dtype);

oracle::Values real(const std::vector<double>& values);
std::vector<double> doubles(const halnorm::Tensor& tensor);

}  // namespace inputs
