#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/tensor.h"
#include "support/throws.h"

using halnorm::DType;
using halnorm::Shape;
using halnorm::ShapeError;
using halnorm::Tensor;
using Floats = std::vector<float>;
using Strides = std::vector<std::int64_t>;

namespace {

/// 0, 1, 2, ... in row-major order.
Tensor counted(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  std::iota(x.data<float>(), x.data<float>() + x.numel(), 0.0F);
  return x;
}

}  // namespace

TEST(TensorView, TransposeShares) {
  const Tensor x = counted({2, 3});
  Tensor t = x.transpose(0, -1);
  EXPECT_EQ(t.shape(), (Shape{3, 2}));
  EXPECT_EQ(t.strides(), (Strides{1, 3}));
  EXPECT_FALSE(t.is_contiguous());
  EXPECT_EQ(t.to_vector<float>(), (Floats{0, 3, 1, 4, 2, 5}));
  t.fill_(7);
  EXPECT_EQ(x.to_vector<float>(), (Floats{7, 7, 7, 7, 7, 7}));
  expect_throws<ShapeError>([&] { (void)x.transpose(0, 2); },
                            {"Tensor::transpose", "axis 2", "[-2, 2)"});
}

TEST(TensorView, ContiguousCopiesOnlyWhereNeeded) {
  const Tensor x = counted({2, 3});
  EXPECT_TRUE(x.contiguous().is_same(x));
  const Tensor t = x.transpose(0, 1);
  const Tensor dense = t.contiguous();
  EXPECT_TRUE(dense.is_contiguous());
  EXPECT_NE(dense.raw_data(), x.raw_data());
  EXPECT_EQ(dense.to_vector<float>(), t.to_vector<float>());
  EXPECT_TRUE(counted({4, 1}).transpose(0, 1).is_contiguous());  // an axis of one has no order
}

TEST(TensorView, NarrowShares) {
  const Tensor x = counted({3, 4});
  Tensor window = x.narrow(0, 1, 2).narrow(-1, 1, 2);
  EXPECT_EQ(window.to_vector<float>(), (Floats{5, 6, 9, 10}));
  EXPECT_EQ(window.strides(), (Strides{4, 1}));
  window.zero_();
  EXPECT_EQ(x.to_vector<float>(), (Floats{0, 1, 2, 3, 4, 0, 0, 7, 8, 0, 0, 11}));
  EXPECT_EQ(x.narrow(0, 3, 0).numel(), 0);
}

TEST(TensorView, NarrowChecksTheRange) {
  const Tensor x = counted({3, 4});
  constexpr std::int64_t most = INT64_MAX;
  expect_throws<ShapeError>([&] { (void)x.narrow(1, 3, 2); },
                            {"Tensor::narrow", "start 3", "length 2", "axis 1", "[0, 4]"});
  expect_throws<ShapeError>([&] { (void)x.narrow(0, -1, 2); }, {"start -1"});
  expect_throws<ShapeError>([&] { (void)x.narrow(0, 1, -1); }, {"length -1"});
  expect_throws<ShapeError>([&] { (void)x.narrow(0, 2, most); }, {"start 2"});
  expect_throws<ShapeError>([&] { (void)x.narrow(2, 0, 1); }, {"axis 2"});
}

TEST(TensorView, NarrowOfNegativeStride) {
  float memory[] = {0, 1, 2, 3, 4};
  const Tensor x = Tensor::from_blob(memory + 4, {5}, DType::Float32, {-1});
  EXPECT_EQ(x.narrow(0, 1, 3).to_vector<float>(), (Floats{3, 2, 1}));
}

TEST(TensorView, ReshapeOfDenseShares) {
  const Tensor x = counted({2, 6});
  const Tensor y = x.reshape({3, -1, 2});
  EXPECT_EQ(y.shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(y.raw_data(), x.raw_data());
  EXPECT_EQ(y.to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(x.narrow(0, 0, 1).narrow(1, 0, 1).reshape({}).item<float>(), 0.0F);
}

TEST(TensorView, ReshapeSharesWhereStridesAllow) {
  const Tensor x = counted({4, 6});
  const Tensor columns = x.narrow(1, 1, 4);  // gaps between the rows
  const Tensor split = columns.reshape({2, 2, 1, 2, 2});
  EXPECT_EQ(split.raw_data(), columns.raw_data());
  EXPECT_EQ(split.to_vector<float>(), columns.to_vector<float>());
  const Tensor rows = x.narrow(0, 1, 2).transpose(0, 1);
  const Tensor kept = rows.reshape({3, 2, 2});
  EXPECT_EQ(kept.raw_data(), rows.raw_data());
  EXPECT_EQ(kept.to_vector<float>(), rows.to_vector<float>());
}

TEST(TensorView, ReshapeCopiesWhereNoViewExists) {
  const Tensor x = counted({2, 3}).transpose(0, 1);
  const Tensor y = x.reshape({2, 3});
  EXPECT_NE(y.raw_data(), x.raw_data());
  EXPECT_EQ(y.to_vector<float>(), (Floats{0, 3, 1, 4, 2, 5}));
}

TEST(TensorView, ReshapeOfRepeatedElements) {
  float memory[] = {5, 6};
  const Tensor x = Tensor::from_blob(memory, {2, 3}, DType::Float32, {1, 0});
  EXPECT_EQ(x.reshape({6}).to_vector<float>(), (Floats{5, 5, 5, 6, 6, 6}));
  EXPECT_EQ(x.reshape({2, 1, 3}).raw_data(), memory);
}

TEST(TensorView, EveryReshapeOfEveryWindowReadsTheSame) {
  const Tensor base = counted({4, 6, 4});
  const std::vector<Tensor> sources = {
      base.narrow(0, 0, 3).narrow(2, 0, 4), base.narrow(1, 1, 4).transpose(0, 1),
      base.narrow(2, 1, 3).transpose(1, 2), base.transpose(0, 2).narrow(1, 2, 3)};
  for (const Tensor& source : sources) {
    const std::int64_t count = source.numel();
    for (std::int64_t a = 1; a <= count; ++a) {
      for (std::int64_t b = 1; count % a == 0 && b <= count / a; ++b) {
        if (count / a % b == 0) {
          EXPECT_EQ(source.reshape({a, b, -1}).to_vector<float>(), source.to_vector<float>())
              << a << " x " << b;
        }
      }
    }
  }
}

TEST(TensorView, ReshapeChecksTheShape) {
  const Tensor x = counted({2, 3});
  expect_throws<ShapeError>([&] { (void)x.reshape({4}); },
                            {"Tensor::reshape", "(4,)", "(2, 3)", "6 elements"});
  expect_throws<ShapeError>([&] { (void)x.reshape({-1, -1}); }, {"Tensor::reshape", "-1"});
  expect_throws<ShapeError>([&] { (void)x.reshape({-1, 4}); }, {"(-1, 4)"});
  expect_throws<ShapeError>([&] { (void)x.reshape({-2, -3}); }, {"Tensor::reshape"});
  expect_throws<ShapeError>([&] { (void)Tensor::zeros({0}).reshape({-1, 0}); }, {"(-1, 0)"});
  EXPECT_EQ(Tensor::zeros({0, 2}).reshape({-1, 3}).shape(), (Shape{0, 3}));
}
