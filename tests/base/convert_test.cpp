#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/tensor.h"
#include "support/throws.h"

using halnorm::DType;
using halnorm::ShapeError;
using halnorm::Tensor;
using Floats = std::vector<float>;

namespace {

struct Format {
  DType dtype;
  int exponent_bits;
  int mantissa_bits;
};
constexpr Format half{DType::Float16, 5, 10};
constexpr Format bfloat{DType::BFloat16, 8, 7};

/// A 16-bit pattern's value from the definition of the format, by powers of two.
double value_of(const Format& format, unsigned bits) {
  const int top = (1 << format.exponent_bits) - 1;
  const int bias = top / 2;
  const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>(bits >> format.mantissa_bits) & top;
  const int fraction = static_cast<int>(bits) & ((1 << format.mantissa_bits) - 1);
  if (exponent == top) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  const int hidden = exponent == 0 ? 0 : 1 << format.mantissa_bits;
  return sign * std::ldexp(fraction + hidden,
                           (exponent == 0 ? 1 : exponent) - bias - format.mantissa_bits);
}

std::string name_of_format(const ::testing::TestParamInfo<Format>& format) {
  return std::string(halnorm::name_of(format.param.dtype));
}

std::uint16_t rounded(const Format& format, double value) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, Tensor::full({1}, value, format.dtype).raw_data(), 2);
  return bits;
}

class NarrowFormat : public ::testing::TestWithParam<Format> {};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Formats, NarrowFormat, ::testing::Values(half, bfloat), name_of_format);

TEST_P(NarrowFormat, EveryPatternWidensAndComesBack) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    auto pattern = static_cast<std::uint16_t>(bits);
    const Tensor x = Tensor::from_blob(&pattern, {1}, GetParam().dtype);
    const double want = value_of(GetParam(), bits);
    const double got = x.item<double>();
    const float narrow = x.item<float>();
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got) && std::isnan(narrow)) << bits;
      EXPECT_TRUE(std::isnan(value_of(GetParam(), rounded(GetParam(), got)))) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(want)) << bits;
      ASSERT_EQ(double{narrow}, want) << bits;
      ASSERT_EQ(rounded(GetParam(), got), bits);
    }
  }
}

TEST_P(NarrowFormat, RoundsToNearestEvenBetweenEveryTwoNeighbours) {
  const unsigned infinity = ((1U << GetParam().exponent_bits) - 1) << GetParam().mantissa_bits;
  for (unsigned low = 0; low + 1 < infinity; ++low) {
    const double a = value_of(GetParam(), low);
    const double b = value_of(GetParam(), low + 1);
    const double middle = (a + b) / 2;
    const unsigned even = (low & 1) == 0 ? low : low + 1;
    ASSERT_EQ(rounded(GetParam(), middle), even) << low;
    ASSERT_EQ(rounded(GetParam(), std::nextafter(middle, 0.0)), low);
    ASSERT_EQ(rounded(GetParam(), std::nextafter(middle, b)), low + 1);
    ASSERT_EQ(rounded(GetParam(), -middle), even | 0x8000U);
  }
}

TEST_P(NarrowFormat, OverflowsToInfinityFromHalfAStepAboveTheLargest) {
  const unsigned infinity = ((1U << GetParam().exponent_bits) - 1) << GetParam().mantissa_bits;
  const double largest = value_of(GetParam(), infinity - 1);
  const double limit = largest + (largest - value_of(GetParam(), infinity - 2)) / 2;
  EXPECT_EQ(rounded(GetParam(), std::nextafter(limit, 0.0)), infinity - 1);
  EXPECT_EQ(rounded(GetParam(), limit), infinity);
  EXPECT_EQ(rounded(GetParam(), -1e300), infinity | 0x8000U);
  EXPECT_EQ(rounded(GetParam(), 5e-324), 0U);
  EXPECT_EQ(rounded(GetParam(), -0.0), 0x8000U);
}

TEST(TensorConvert, SignallingNanIsQuieted) {
  std::uint16_t pattern = 0x7c01;
  const Tensor x = Tensor::from_blob(&pattern, {1}, DType::Float16);
  EXPECT_NE(std::bit_cast<std::uint32_t>(x.item<float>()) & 0x400000U, 0U);
  const double signalling = std::bit_cast<double>(std::uint64_t{0x7ff0000000000001});
  const Tensor wide = Tensor::full({1}, signalling, DType::Float64);
  EXPECT_EQ(rounded(half, wide.item<double>()), 0x7e00);
  EXPECT_TRUE(std::isnan(wide.to(DType::Float32).item<float>()));
}

TEST(TensorConvert, DoubleRoundsOnceToFloat) {
  const double above_middle = 1.0 + 0x1p-24 + 0x1p-50;
  EXPECT_EQ(Tensor::full({1}, above_middle, DType::Float64).to(DType::Float32).item<float>(),
            1.0F + 0x1p-23F);
  EXPECT_EQ(Tensor::full({1}, 1e300).item<float>(), std::numeric_limits<float>::infinity());
}

TEST(TensorConvert, IntegersRoundOnce) {
  // Just above the middle of two bfloat16 neighbours, by less than a double resolves.
  const std::vector<std::int64_t> above = {(std::int64_t{1} << 62) + (std::int64_t{1} << 54) + 1};
  const Tensor x = Tensor::from(std::span<const std::int64_t>(above), {1});
  EXPECT_EQ(x.to(DType::BFloat16).item<float>(), 0x1p62F + 0x1p55F);
  const std::vector<std::int64_t> negative = {-above[0]};
  const Tensor y = Tensor::from(std::span<const std::int64_t>(negative), {1});
  EXPECT_EQ(y.to(DType::BFloat16).item<float>(), -0x1p62F - 0x1p55F);
  const std::vector<std::int64_t> least = {INT64_MIN, INT64_MAX, 65519, 65520};
  const Tensor z = Tensor::from(std::span<const std::int64_t>(least), {4});
  EXPECT_EQ(z.to(DType::BFloat16).to_vector<float>(), (Floats{-0x1p63F, 0x1p63F, 65536, 65536}));
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(z.to(DType::Float16).to_vector<float>(),
            (Floats{-infinity, infinity, 65504, infinity}));
}

TEST(TensorConvert, ToIntegerGoesTowardZero) {
  const std::vector<double> values = {2.9, -2.9, 1e300, -1e300, std::nan(""), -0x1p63};
  const Tensor x = Tensor::from(std::span<const double>(values), {6});
  EXPECT_EQ(x.to(DType::Int64).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{2, -2, INT64_MAX, INT64_MIN, 0, INT64_MIN}));
}

TEST(TensorConvert, SameDtypeIsTheSameHandle) {
  const Tensor x = Tensor::zeros({2});
  EXPECT_TRUE(x.to(DType::Float32).is_same(x));
  EXPECT_FALSE(x.to(DType::Float64).is_same(x));
}

TEST(TensorCopy, ConvertsAndRespectsStrides) {
  const std::vector<double> values = {0, 1, 2, 3, 4, 5};
  const Tensor source = Tensor::from(std::span<const double>(values), {2, 3});
  Tensor target = Tensor::zeros({3, 5}).narrow(1, 1, 2).transpose(0, 1);
  target.copy_(source);
  EXPECT_EQ(target.to_vector<double>(), values);
}

TEST(TensorCopy, WantsTheSameShape) {
  Tensor x = Tensor::zeros({2, 3});
  expect_throws<ShapeError>(
      [&] {
        x.copy_(Tensor::zeros({3, 2}));
      },
      {"Tensor::copy_", "(3, 2)", "(2, 3)"});
  float one = 0;
  Tensor shared = Tensor::from_blob(&one, {3}, DType::Float32, {0});
  expect_throws<ShapeError>([&] { shared.copy_(Tensor::ones({3})); },
                            {"Tensor::copy_", "no two elements in one place"});
  EXPECT_EQ(one, 0.0F);
  shared.fill_(4);
  EXPECT_EQ(one, 4.0F);
}

TEST(TensorCopy, IsRightUnderOverlap) {
  float memory[] = {0, 1, 2, 3, 4, 5, 6};
  const Tensor all = Tensor::from_blob(memory, {7}, DType::Float32);
  all.narrow(0, 2, 5).copy_(all.narrow(0, 0, 5));
  EXPECT_EQ(all.to_vector<float>(), (Floats{0, 1, 0, 1, 2, 3, 4}));
  all.narrow(0, 0, 5).copy_(all.narrow(0, 2, 5));
  EXPECT_EQ(all.to_vector<float>(), (Floats{0, 1, 2, 3, 4, 3, 4}));
  Tensor reversed = Tensor::from_blob(memory + 6, {7}, DType::Float32, {-1});
  reversed.copy_(all);
  EXPECT_EQ(all.to_vector<float>(), (Floats{4, 3, 4, 3, 2, 1, 0}));
  Tensor square = all.narrow(0, 0, 4).reshape({2, 2});
  square.copy_(square.transpose(0, 1));
  EXPECT_EQ(square.to_vector<float>(), (Floats{4, 4, 3, 3}));
  square.copy_(square);
  EXPECT_EQ(square.to_vector<float>(), (Floats{4, 4, 3, 3}));
}

TEST(TensorCopy, ConvertsInPlace) {
  double memory[] = {1, 2, 3};
  const Tensor wide = Tensor::from_blob(memory, {3}, DType::Float64);
  Tensor narrow = Tensor::from_blob(memory, {3}, DType::Float32);
  narrow.copy_(wide);
  EXPECT_EQ(narrow.to_vector<float>(), (Floats{1, 2, 3}));
}
