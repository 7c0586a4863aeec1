#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "halnorm/tensor.h"
#include "support/float_mode.h"

using halnorm::DType;
using halnorm::Tensor;

/// Rows of neighbours are converted by vectors, others one by one (which tensor/convert_test.cpp
/// holds to the definition of the formats): the bits are the same.

namespace {

std::vector<std::uint32_t> bits_of(const Tensor& tensor) {
  std::vector<std::uint32_t> bits(static_cast<std::size_t>(tensor.numel()));
  const std::size_t size = halnorm::size_of(tensor.dtype());
  for (std::size_t i = 0; i < bits.size(); ++i) {
    std::memcpy(&bits[i], static_cast<const std::byte*>(tensor.raw_data()) + i * size, size);
  }
  return bits;
}

/// A copy whose elements are not adjacent.
Tensor spread(const Tensor& row) {
  const Tensor pairs = Tensor::zeros({row.numel(), 2}, row.dtype());
  Tensor first = pairs.narrow(1, 0, 1).reshape({row.numel()});
  return first.copy_(row);
}

Tensor one_by_one(const Tensor& row, DType dtype) {
  const Tensor wide = spread(row);
  EXPECT_EQ(wide.strides().front(), 2);
  return wide.to(dtype);
}

/// Every sign, exponent and upper half of a fraction, with lower bits around a tie: for either
/// format this has each tie, its two neighbours, and each payload of a NaN that is kept.
std::vector<float> floats() {
  std::vector<float> all;
  for (std::uint32_t upper = 0; upper < 1U << 19U; ++upper) {
    for (const std::uint32_t lower : {0x0U, 0x1U, 0xfffU, 0x1000U, 0x1001U, 0x1fffU}) {
      all.push_back(std::bit_cast<float>((upper << 13U) | lower));
    }
  }
  return all;
}

class NarrowRows : public ::testing::TestWithParam<DType> {};

}  // namespace

INSTANTIATE_TEST_SUITE_P(DTypes, NarrowRows, ::testing::Values(DType::Float16, DType::BFloat16),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

TEST_P(NarrowRows, OfFloatsHaveTheBitsOfOneByOne) {
  const std::vector<float> all = floats();
  const Tensor row =
      Tensor::from(std::span<const float>(all), {static_cast<std::int64_t>(all.size())});
  EXPECT_TRUE(bits_of(row.to(GetParam())) == bits_of(one_by_one(row, GetParam())));
}

TEST_P(NarrowRows, ToFloatsHaveTheBitsOfOneByOne) {
  std::vector<std::uint16_t> patterns(0x10000);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    patterns[i] = static_cast<std::uint16_t>(i);
  }
  const Tensor row = Tensor::from_blob(patterns.data(), {0x10000}, GetParam());
  EXPECT_TRUE(bits_of(row.to(DType::Float32)) == bits_of(one_by_one(row, DType::Float32)));
}

TEST_P(NarrowRows, OfAnyLengthAndPlaceLeaveTheirNeighboursAlone) {
  const Tensor source = Tensor::randn({64}, 1);
  for (std::int64_t start = 0; start < 9; ++start) {
    for (std::int64_t length = 0; length < 40; ++length) {
      const Tensor target = Tensor::full({64}, 77, GetParam());
      target.narrow(0, start, length).copy_(source.narrow(0, 2 * start, length));
      const std::vector<float> got = target.to_vector<float>();
      const std::vector<float> want = one_by_one(source, GetParam()).to_vector<float>();
      for (std::int64_t i = 0; i < 64; ++i) {
        const bool is_inside = i >= start && i < start + length;
        ASSERT_EQ(got[static_cast<std::size_t>(i)],
                  is_inside ? want[static_cast<std::size_t>(i + start)] : 77.0F);
      }
    }
  }
}

TEST_P(NarrowRows, DoNotDependOnTheFloatingPointMode) {
  const std::vector<float> all = floats();
  const Tensor row =
      Tensor::from(std::span<const float>(all), {static_cast<std::int64_t>(all.size())});
  const auto narrow = bits_of(row.to(GetParam()));
  const auto wide = bits_of(row.to(GetParam()).to(DType::Float32));
  for (const float_mode::Control mode : {float_mode::flush, float_mode::upward}) {
    const float_mode::With guard(mode);
    const Tensor got = row.to(GetParam());
    EXPECT_TRUE(bits_of(got) == narrow);
    EXPECT_TRUE(bits_of(got.to(DType::Float32)) == wide);
  }
}
