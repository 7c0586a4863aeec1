#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "buffers.h"
#include "shapes.h"

namespace halnorm::bench {

enum class Layout : std::uint8_t { Ncl, Nlc };

constexpr std::string_view name_of(Layout layout) { return layout == Layout::Ncl ? "ncl" : "nlc"; }

inline constexpr double eps = 1e-5;

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
  Problem(const BenchShape& shape, Element element);

  [[nodiscard]] const BenchShape& shape() const { return shape_; }
  [[nodiscard]] Element element() const { return x.element(); }

  DataBuffer x, dy, out;
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
