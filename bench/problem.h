#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "shapes.h"

namespace halnorm::bench {

enum class Layout : std::uint8_t { Ncl, Nlc };

constexpr std::string_view name_of(Layout layout) { return layout == Layout::Ncl ? "ncl" : "nlc"; }

inline constexpr double eps = 1e-5;

/// Float32 elements in page-aligned memory. Every page is written by the constructor, so that no
/// page fault falls into a measurement.
class FloatBuffer {
 public:
  explicit FloatBuffer(std::size_t size);

  [[nodiscard]] float* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return size_ * sizeof(float); }
  float& operator[](std::size_t index) { return data_[index]; }
  float operator[](std::size_t index) const { return data_[index]; }
  void fill(float value);

 private:
  struct Free {
    void operator()(float* pointer) const;
  };
  std::size_t size_;
  std::unique_ptr<float[], Free> data_;
};

/// Per-channel statistics and sums in float64, computed in two passes over the elements.
struct ChannelSums {
  std::vector<double> mean, invstd;                ///< of the batch
  std::vector<double> dbias, dweight;              ///< sum(dy), sum(dy * xhat)
  std::vector<double> dbias_scale, dweight_scale;  ///< the same sums of absolute values
};

/// What every program measures on: the buffers of one shape, and the judge of the results. The
/// bytes of x and dy are the same in both layouts; only their meaning differs.
class Problem {
 public:
  explicit Problem(const BenchShape& shape);

  [[nodiscard]] const BenchShape& shape() const { return shape_; }

  FloatBuffer x, dy, out;
  FloatBuffer weight, bias, running_mean, running_var;

  /// Each judges `out`, element by element, against the float64 result.
  /// @throws std::runtime_error naming the shape, the element and both values, if any element is
  ///         further off than `tolerance` times the magnitude of the terms it was made of.
  void verify_train(Layout layout, double tolerance);
  void verify_infer(Layout layout, double tolerance);
  void verify_backward(Layout layout, const float* dweight, const float* dbias, double tolerance);

  /// The float64 statistics of x in this layout.
  const ChannelSums& sums(Layout layout);

 private:
  BenchShape shape_;
  std::array<std::unique_ptr<ChannelSums>, 2> sums_;
};

}  // namespace halnorm::bench
