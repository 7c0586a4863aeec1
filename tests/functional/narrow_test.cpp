#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "halnorm/functional_fused.h"
#include "support/cases/element.h"
#include "support/kernel_test.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using placement::Layout;

namespace {

/// Tests how kernels read and round 16-bit data.
class Narrow : public KernelTest {
 protected:
  /// A batch whose channel c holds values[c] in each of its places.
  [[nodiscard]] Tensor batch(const std::vector<double>& values) const {
    const auto count = static_cast<std::int64_t>(values.size());
    const bool ncl = layout() == Layout::Ncl;
    const Tensor x = ncl ? Tensor::empty({1, count, positions}, dtype())
                         : Tensor::empty({positions, count}, dtype());
    auto* first = static_cast<std::byte*>(x.raw_data());
    const auto elements = static_cast<std::size_t>(x.numel());
    for (std::size_t i = 0; i < elements; ++i) {
      const std::size_t c = ncl ? i / std::size_t{positions} : i % values.size();
      element::store(dtype(), values[c], first + 2 * i);
    }
    return x;
  }

  /// NEON of 32-bit ARM has no subnormal float32: it reads and writes 0 for one. Scalar code, which
  /// ends a row after whole vectors, has them. In float16's range there are none.
  [[nodiscard]] bool may_vanish(double value) const {
    return GetParam().target == "armhf" && std::fabs(value) <= std::numeric_limits<float>::min();
  }

  /// Channel c of y is want[c], in every place; a zero may have either sign.
  void expect_channels(const Tensor& y, const std::vector<double>& want, const char* what) const {
    const bool ncl = layout() == Layout::Ncl;
    const auto* first = static_cast<const std::byte*>(y.raw_data());
    const auto elements = static_cast<std::size_t>(y.numel());
    for (std::size_t i = 0; i < elements; ++i) {
      const std::size_t c = ncl ? i / std::size_t{positions} : i % want.size();
      const double got = element::load(dtype(), first + 2 * i);
      const bool right = std::isnan(want[c]) ? std::isnan(got) : got == want[c];
      ASSERT_TRUE(right || (may_vanish(want[c]) && got == 0))
          << what << " of channel " << c << ": got " << got << ", wanted " << want[c];
    }
  }

  static constexpr std::int64_t positions = 17;
};

/// Every value of a 16-bit dtype.
std::vector<double> every_value(DType dtype) {
  std::vector<double> values;
  for (unsigned bits = 0; bits <= 0xffff; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const auto bytes = std::bit_cast<std::array<std::byte, 2>>(pattern);
    values.push_back(element::load(dtype, bytes.data()));
  }
  return values;
}

/// Float32 values between two neighbours of a 16-bit dtype: half way, and a float32 to either side
/// of it. Also values that overflow, vanish, or are not finite.
std::vector<double> between(DType dtype) {
  std::vector<double> values;
  const std::vector<double> all = every_value(dtype);
  for (std::size_t i = 0; i + 1 < all.size(); i += 5) {
    const auto middle = static_cast<float>((all[i] + all[i + 1]) / 2);
    if (std::isfinite(middle)) {
      values.insert(values.end(),
                    {middle, std::nextafter(middle, 1e38F), std::nextafter(middle, -1e38F)});
    }
  }
  constexpr double most = std::numeric_limits<float>::max();
  // Half a step above float16's greatest value is a tie with infinity, which is even.
  values.insert(values.end(), {65519, 65520, most, -most, HUGE_VAL, -HUGE_VAL, 1e-40});
  for (const std::uint32_t bits : {0x7fc00000U, 0x7fffffffU, 0xffffffffU, 0x7f800001U}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  return values;
}

std::vector<double> rounded(DType dtype, std::vector<double> values) {
  for (double& value : values) {
    value = element::rounded(dtype, value);
  }
  return values;
}

std::vector<KernelCase> narrow_cases() {
  std::vector<KernelCase> cases = dense_cases();
  std::erase_if(cases, [](const KernelCase& c) {
    return halnorm::size_of(c.dtype) != 2 || c.layout == Layout::Nlc;
  });
  return cases;
}

}  // namespace

TEST_P(Narrow, EveryValueIsReadAndWritten) {
  const std::vector<double> values = every_value(dtype());
  const auto count = static_cast<std::int64_t>(values.size());
  SCOPED_TRACE(describe({1, count, positions, "all values"}));
  const Tensor x = batch(values);
  const Tensor zeros = Tensor::zeros({count});
  const Tensor ones = Tensor::ones({count});
  expect_channels(F::batch_norm_infer(x, zeros, ones, ones, zeros, 0.0), values, "y");
  const auto gradient = F::batch_norm_backward_infer(x, batch(std::vector<double>(values.size())),
                                                     ones, zeros, ones, 0.0);
  expect_channels(gradient.dx, values, "dx");
  const std::vector<double> sums = inputs::doubles(gradient.dbias);
  for (std::size_t c = 0; c < sums.size(); ++c) {
    const double want = 17 * values[c];  // of 11 or 8 bits, and so exact
    const bool right =
        std::isnan(want) ? std::isnan(sums[c]) : sums[c] == element::rounded(DType::Float32, want);
    const bool in_part = may_vanish(values[c]) && std::fabs(sums[c]) <= std::fabs(want);
    ASSERT_TRUE(right || in_part) << "dbias of channel " << c << ": got " << sums[c] << ", wanted "
                                  << want;
  }
}

TEST_P(Narrow, ResultsAreRoundedToTheNearestEven) {
  const std::vector<double> values = between(dtype());
  const std::vector<double> want = rounded(dtype(), values);
  const auto count = static_cast<std::int64_t>(values.size());
  SCOPED_TRACE(describe({1, count, positions, "what lies between values"}));
  const Tensor exact = inputs::channels(values, DType::Float32);
  const Tensor x = batch(std::vector<double>(values.size(), 0.0));
  const Tensor dy = batch(std::vector<double>(values.size(), 1.0));
  const Tensor zeros = Tensor::zeros({count});
  const Tensor ones = Tensor::ones({count});
  const Tensor none = Tensor::zeros({count}, DType::Float64);
  const Tensor unit = Tensor::ones({count}, DType::Float64);
  const Tensor total = Tensor::full({}, 17, DType::Float64);
  expect_channels(F::batch_norm_infer(x, zeros, ones, ones, exact, 0.0), want, "y of infer");
  expect_channels(F::batch_norm_elemt(x, ones, exact, none, unit), want, "y of elemt");
  expect_channels(F::batch_norm_train(x, ones, exact, 1e-5).y, want, "y of train");
  expect_channels(F::batch_norm_backward_infer(dy, x, exact, zeros, ones, 0.0).dx, want,
                  "dx of infer");
  std::vector<double> rectified = want;
  std::replace_if(
      rectified.begin(), rectified.end(), [](double v) { return v < 0; }, 0.0);
  expect_channels(F::batch_norm_fused_infer(x, {}, zeros, ones, ones, exact, 0.0), rectified,
                  "y of fused infer");
  expect_channels(F::batch_norm_fused_train(x, {}, ones, exact, 1e-5).y, rectified,
                  "y of fused train");
  // The weights are finite here, because an infinite weight would be multiplied by sums of zero.
  std::vector<double> finite = values;
  std::replace_if(
      finite.begin(), finite.end(), [](double v) { return std::isinf(v); }, 1.0);
  const Tensor weight = inputs::channels(finite, DType::Float32);
  expect_channels(F::batch_norm_backward_elemt(dy, x, none, unit, weight, none, none, total),
                  rounded(dtype(), finite), "dx of elemt");
}

TEST_P(Narrow, AStridedOutputIsRoundedLikeADenseOne) {
  const shapes::Extents extents{3, 17, 33, "odd in every direction"};
  SCOPED_TRACE(describe(extents));
  placement::Placed x(Layout::Ncl, extents, dtype());
  placement::Placed y(Layout::Spaced, extents, dtype());
  x.assign(source(extents).normals(extents.numel()));
  const Tensor dense = F::batch_norm_train(x.tensor(), Tensor(), Tensor(), 1e-5).y;
  F::batch_norm_train(x.tensor(), Tensor(), Tensor(), 1e-5, y.tensor());
  EXPECT_TRUE(y.surroundings_intact());
  EXPECT_TRUE(same_bits(y.batch().values, inputs::doubles(dense)));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Narrow, ::testing::ValuesIn(narrow_cases()), name_of_param);
