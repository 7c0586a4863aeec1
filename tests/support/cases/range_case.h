#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/functional.h"
#include "support/cases/element.h"
#include "support/cases/inputs.h"
#include "support/cases/placement.h"
#include "support/kernel_test.h"
#include "support/oracle.h"
#include "support/tolerance.h"

/// @file
/// One call with extreme values in every second channel, and its truth. Each channel has its own
/// bound, because a common one would be that of the largest channel.

namespace range_case {

using halnorm::DType;
using halnorm::Tensor;

/// The extreme channels hold values within `x` of `mean`, and a dy within `dy`; the others 1, 0, 1.
struct Scale {
  double x = 1;
  double mean = 0;
  double dy = 1;
  double weight = 1;
};

/// Magnitudes in combination, as far as the dtype holds them.
inline std::vector<Scale> scales(DType dtype) {
  if (dtype == DType::Float16) {
    return {{1e-6, 0, 1, 1},   {1e-3, 0, 1e-6, 1}, {1e3, 0, 1e4, 1},    {3e4, 0, 1, 1},
            {6e4, 0, 6e4, 1},  {3e3, 6e4, 1, 1},   {1, 0, 1, 1e-30},    {3e4, 0, 1, 1e-30},
            {1, 0, 1e4, 1e30}, {1e-6, 0, 1, 1e30}, {3e4, 0, 3e4, 1e-10}};
  }
  std::vector<Scale> all;
  for (const double x : {1e-37, 1e-30, 1e-20, 1e-12, 1e-8, 1.0, 1e8, 1e12, 1e20, 1e30, 3e38}) {
    for (const double dy : {1e-30, 1.0, 1e30}) {
      all.push_back({x, 0, dy, 1});
    }
    all.push_back({x, 0, 1, 1e-30});
    all.push_back({x, 0, 1, 1e30});
    all.push_back({x, std::min(30 * x, 3e38), 1, 1});
  }
  all.push_back({1e37, 3e38, 1e30, 1});
  all.push_back({1e10, 0, 3e38, 1});
  return all;
}

inline std::string text(const Scale& s) {
  std::string all = "scale";
  for (const double value : {s.x, s.mean, s.dy, s.weight}) {
    all += " " + std::to_string(value == 0 ? 0.0 : std::log10(value));
  }
  return all + " (powers of ten of x, mean, dy, weight)";
}

inline double largest_of(DType dtype) {
  return dtype == DType::Float16    ? 65504.0
         : dtype == DType::BFloat16 ? 0x1.fep127
         : dtype == DType::Float32  ? 0x1.fffffep127
                                    : std::numeric_limits<double>::max();
}

/// The values of one channel.
inline oracle::Batch channel(const oracle::Batch& all, std::int64_t c) {
  oracle::Batch one{all.n, 1, all.l, {}};
  for (std::int64_t n = 0; n < all.n; ++n) {
    for (std::int64_t l = 0; l < all.l; ++l) {
      one.values.push_back(all.values[all.index(n, c, l)]);
    }
  }
  return one;
}

/// Each value is within `tolerance` and its own rounding of the truth; if the truth overflows in
/// `stored`, the value is an infinity of its sign.
inline void expect_close(const std::vector<double>& got, const oracle::Values& want,
                         double tolerance, std::string_view what, DType stored) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto wanted = static_cast<double>(want[i]);
    const double allowed = tolerance + tolerance::storing(stored, wanted) +
                           std::fabs(wanted) * element::roundoff(stored);
    const bool right = std::isinf(got[i]) ? std::fabs(wanted) + allowed >= largest_of(stored) &&
                                                std::signbit(wanted) == std::signbit(got[i])
                                          : std::fabs(got[i] - wanted) <= allowed;
    ASSERT_TRUE(right) << what << "[" << i << "]: got " << got[i] << ", wanted " << wanted
                       << " within " << allowed;
  }
}

/// A batch and a layer. Statistics are exact, in Float64 and as running ones.
struct Case {
  shapes::Extents extents;
  DType dtype;
  placement::Placed x, dy, addend, y, out;
  oracle::Batch x_values, dy_values, addend_values, y_values;
  std::vector<double> weight, bias, mean, invstd, running_mean, running_var;
  double eps;

  Case(inputs::Source source, placement::Layout layout, const shapes::Extents& shape,
       const Scale& scale)
      : extents(shape),
        dtype(source.dtype()),
        x(layout, shape, dtype),
        dy(layout, shape, dtype),
        addend(layout, shape, dtype),
        y(layout, shape, dtype),
        out(layout, shape, dtype),
        eps(std::min(1e-3 * scale.x * scale.x, 1e-3)) {
    fill(source, scale);
    const oracle::Statistics batch = oracle::statistics(x_values);
    const oracle::Values inverse = batch.invstd(eps);
    const oracle::Values variance = batch.biased_variance();
    const DType parameters = element::of_parameters(dtype);
    const inputs::Source draws = source.with(parameters);
    for (std::int64_t c = 0; c < shape.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      weight.push_back(draws.rounded((c % 3 == 1 ? -0.7 : 1.3) * (c % 2 == 0 ? scale.weight : 1)));
      bias.push_back(draws.rounded(0.25 * static_cast<double>(c % 5)));
      mean.push_back(static_cast<double>(batch.mean[at]));
      invstd.push_back(static_cast<double>(inverse[at]));
      running_mean.push_back(draws.rounded(mean.back()));
      // The variance is limited to float32's range.
      running_var.push_back(
          draws.rounded(std::clamp(static_cast<double>(variance[at]), 1e-37, 3e38)));
    }
  }

  [[nodiscard]] Tensor parameter(const std::vector<double>& values) const {
    return inputs::channels(values, element::of_parameters(dtype));
  }
  [[nodiscard]] static Tensor statistic(const std::vector<double>& values) {
    return inputs::channels(values, DType::Float64);
  }
  /// Restores the inputs that a call in place has overwritten.
  void restore() {
    x.assign(x_values.values);
    dy.assign(dy_values.values);
    addend.assign(addend_values.values);
  }

 private:
  void fill(inputs::Source& source, const Scale& scale) {
    std::vector<double> xs, dys;
    const double most = largest_of(dtype);
    for (std::int64_t i = 0; i < extents.numel(); ++i) {
      const bool extreme = i / extents.l % extents.c % 2 == 0;
      const Scale s = extreme ? scale : Scale{};
      const double value = s.mean + s.x * source.uniform(-1, 1);
      xs.push_back(source.rounded(std::clamp(value, -most, most)));
      dys.push_back(source.rounded(s.dy * source.uniform(-1, 1)));
    }
    x.assign(xs);
    dy.assign(dys);
    addend.assign(source.normals(extents.numel()));
    y.assign(source.normals(extents.numel()));
    x_values = x.batch();
    dy_values = dy.batch();
    addend_values = addend.batch();
    y_values = y.batch();
  }
};

}  // namespace range_case
