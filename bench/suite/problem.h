#pragma once

#include <halnorm/halnorm.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halnorm::bench {

/// (N, C) has length 1 and `rank` 2; it is measured as channels-last only.
struct BenchShape {
  std::int64_t n, c, l;
  int rank;

  [[nodiscard]] constexpr std::int64_t numel() const { return n * c * l; }
  [[nodiscard]] constexpr std::int64_t per_channel() const { return n * l; }

  /// "128x1024" or "8x512x64".
  [[nodiscard]] std::string name() const {
    const std::string base = std::to_string(n) + "x" + std::to_string(c);
    return rank == 2 ? base : base + "x" + std::to_string(l);
  }
};

enum class Layout : std::uint8_t { Ncl, Nlc };

constexpr std::string_view name_of(Layout layout) { return layout == Layout::Ncl ? "ncl" : "nlc"; }

/// The dtypes of data, by the names of kernels.
inline constexpr std::pair<std::string_view, DType> dtypes[] = {
    {"f32", DType::Float32}, {"f16", DType::Float16}, {"bf16", DType::BFloat16}};

/// Half a unit in the last place, relative: the rounding of a stored result.
constexpr double rounding_of(DType dtype) {
  return dtype == DType::Float32 ? 0x1p-24 : dtype == DType::Float16 ? 0x1p-11 : 0x1p-8;
}

inline constexpr double eps = 1e-5;

/// Per-channel statistics and sums in float64, computed in two passes over the elements.
struct ChannelSums {
  std::vector<double> mean, invstd;                ///< of the batch
  std::vector<double> dbias, dweight;              ///< sum(dy), sum(dy * xhat)
  std::vector<double> dbias_scale, dweight_scale;  ///< the same sums of absolute values
};

/// The properties of a case that the check of its result depends on.
struct Check {
  Layout layout;
  double tolerance;    ///< of an error, times the magnitude of the terms
  bool fused = false;  ///< the addend and relu follow, or in backward a mask precedes
};

/// The tensors of one shape, and the judge of the results. Data is one row of elements, the same
/// in both layouts; view() gives it a layout.
class Problem {
 public:
  Problem(const BenchShape& shape, DType dtype, Device device = Device::cpu());

  [[nodiscard]] const BenchShape& shape() const { return shape_; }
  [[nodiscard]] DType dtype() const { return x.dtype(); }
  [[nodiscard]] Tensor view(const Tensor& flat, Layout layout) const;

  Tensor x, dy, out;
  Tensor weight, bias, running_mean, running_var;  ///< float32
  /// Only fused operations have these two, so that the first use allocates them.
  const Tensor& addend();
  const Tensor& second_out();
  std::shared_ptr<void> copies;  ///< a peer's own of the tensors

  /// Makes `out` NaN: an element that a call leaves out is then seen.
  void spoil();

  /// Each compares `out` with the float64 result. @throws std::runtime_error that names the shape,
  /// the element and both values. `infer`: with the running statistics.
  void verify_y(const Check& check, bool infer);
  void verify_dx(const Check& check);
  void verify_gradients(const Check& check, const Tensor& dweight, const Tensor& dbias);
  /// The same for one value per channel, which is the sum of terms of the magnitude `scale`.
  void verify_channels(std::string_view what, const Tensor& got, const std::vector<double>& wanted,
                       const std::vector<double>& scale, double tolerance) const;

  /// The float64 statistics of x in this layout, and the sums of dy, masked if `fused`.
  const ChannelSums& sums(Layout layout, bool fused = false);

 private:
  ChannelSums compute_sums(Layout layout, bool fused);

  BenchShape shape_;
  Tensor addend_, second_out_;
  std::array<std::unique_ptr<ChannelSums>, 4> sums_;
};

}  // namespace halnorm::bench
