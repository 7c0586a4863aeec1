#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/tensor.h"

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

/// The numbers in these texts are those that PyTorch prints for the same tensors.

namespace {

std::string text_of(const Tensor& tensor) {
  std::ostringstream stream;
  stream << tensor;
  return stream.str();
}

Tensor floats(const std::vector<float>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

Tensor counting(Shape shape, std::int64_t count) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from(values, std::move(shape));
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST(TensorPrint, WholeNumbersHaveAPoint) {
  EXPECT_EQ(text_of(floats({1, -1, 0})), "tensor([ 1., -1.,  0.], shape=(3,), dtype=float32)");
  EXPECT_EQ(text_of(Tensor::zeros({2, 3}, DType::Float64)),
            "tensor([[0., 0., 0.],\n        [0., 0., 0.]], shape=(2, 3), dtype=float64)");
  EXPECT_EQ(text_of(Tensor::full({}, 3)), "tensor(3., shape=(), dtype=float32)");
}

TEST(TensorPrint, FractionsHaveFourDigits) {
  EXPECT_EQ(text_of(floats({1, 1.5, -2})),
            "tensor([ 1.0000,  1.5000, -2.0000], shape=(3,), dtype=float32)");
  EXPECT_EQ(text_of(Tensor::full({1}, 3.14159265)), "tensor([3.1416], shape=(1,), dtype=float32)");
  EXPECT_EQ(text_of(Tensor::full({1}, 0.1, DType::Float16)),
            "tensor([0.1000], shape=(1,), dtype=float16)");
}

TEST(TensorPrint, RangesThatNeedItAreScientific) {
  EXPECT_EQ(text_of(floats({1e-5F, 1})),
            "tensor([1.0000e-05, 1.0000e+00], shape=(2,), dtype=float32)");
  EXPECT_EQ(text_of(floats({1, 1001})),
            "tensor([1.0000e+00, 1.0010e+03], shape=(2,), dtype=float32)");
  EXPECT_EQ(text_of(floats({1, 1000})), "tensor([   1., 1000.], shape=(2,), dtype=float32)");
  EXPECT_EQ(text_of(floats({2e8F})), "tensor([2.0000e+08], shape=(1,), dtype=float32)");
}

TEST(TensorPrint, NotFiniteNumbersTakeTheWidthOfOthers) {
  EXPECT_EQ(text_of(floats({quiet_nan, 1.5, -infinity})),
            "tensor([   nan, 1.5000,   -inf], shape=(3,), dtype=float32)");
  EXPECT_EQ(text_of(floats({0, quiet_nan, infinity})),
            "tensor([0., nan, inf], shape=(3,), dtype=float32)");
}

TEST(TensorPrint, Integers) {
  EXPECT_EQ(text_of(counting({3, 2, 2}, 12)),
            "tensor([[[ 0,  1],\n         [ 2,  3]],\n\n        [[ 4,  5],\n         [ 6,  7]],\n\n"
            "        [[ 8,  9],\n         [10, 11]]], shape=(3, 2, 2), dtype=int64)");
  EXPECT_EQ(text_of(Tensor::full({}, -7, DType::Int64)), "tensor(-7, shape=(), dtype=int64)");
}

TEST(TensorPrint, LongRowsAreBroken) {
  EXPECT_EQ(text_of(counting({20}, 20)),
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19], shape=(20,), dtype=int64)");
  const std::string text = text_of(Tensor::zeros({1, 40}));
  EXPECT_NE(text.find("\n         0., "), std::string::npos) << text;
}

TEST(TensorPrint, MoreThanAThousandElementsAreSummarized) {
  EXPECT_EQ(text_of(Tensor::zeros({1001})),
            "tensor([0., 0., 0.,  ..., 0., 0., 0.], shape=(1001,), dtype=float32)");
  EXPECT_EQ(text_of(counting({101, 10}, 1010)),
            "tensor([[   0,    1,    2,  ...,    7,    8,    9],\n"
            "        [  10,   11,   12,  ...,   17,   18,   19],\n"
            "        [  20,   21,   22,  ...,   27,   28,   29],\n"
            "        ...,\n"
            "        [ 980,  981,  982,  ...,  987,  988,  989],\n"
            "        [ 990,  991,  992,  ...,  997,  998,  999],\n"
            "        [1000, 1001, 1002,  ..., 1007, 1008, 1009]], shape=(101, 10),\n"
            "       dtype=int64)");
  EXPECT_EQ(text_of(Tensor::zeros({1000})).find("..."), std::string::npos);
}

TEST(TensorPrint, ReadsThroughStrides) {
  EXPECT_EQ(text_of(counting({2, 3}, 6).transpose(0, 1)),
            "tensor([[0, 3],\n        [1, 4],\n        [2, 5]], shape=(3, 2), dtype=int64)");
}

TEST(TensorPrint, EmptyAndUndefined) {
  EXPECT_EQ(text_of(Tensor::empty({0, 3})), "tensor([], shape=(0, 3), dtype=float32)");
  EXPECT_EQ(text_of(Tensor()), "tensor(undefined)");
}

TEST(TensorPrint, TakesNoFormatFromTheStream) {
  std::ostringstream stream;
  stream << std::hex << std::showpos << Tensor::full({1}, 26, DType::Int64);
  EXPECT_EQ(stream.str(), "tensor([26], shape=(1,), dtype=int64)");
}
