#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/halide.h"
#include "halnorm/tensor.h"
#include "support/throws.h"

using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Shape;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using Strides = std::vector<std::int64_t>;

namespace {

constexpr std::int64_t huge = std::int64_t{1} << 40;

Tensor counted(Shape shape, DType dtype = DType::Float32) {
  const std::int64_t count =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::from(std::span<const double>(values), std::move(shape)).to(dtype);
}

}  // namespace

TEST(Tensor, UndefinedThrowsFromEveryMember) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_FALSE(none.is_same(none));
  expect_throws<ValueError>([&] { (void)none.shape(); }, {"Tensor::shape", "undefined"});
  expect_throws<ValueError>([&] { (void)none.data<float>(); }, {"Tensor::data", "undefined"});
  expect_throws<ValueError>([&] { (void)none.clone(); }, {"Tensor::clone", "undefined"});
  expect_throws<ValueError>([&] { (void)none.to(DType::Float64); }, {"Tensor::to", "undefined"});
  expect_throws<ValueError>([&] { (void)none.to(Device::cpu()); }, {"Tensor::to", "undefined"});
  expect_throws<ValueError>([&] { (void)halnorm::halide_buffer(none); },
                            {"halide_buffer", "undefined"});
  expect_throws<ValueError>([&] { Tensor::zeros({1}).copy_(none); }, {"Tensor::copy_"});
  expect_throws<ValueError>([&] { Tensor().fill_(1.0); }, {"Tensor::fill_", "undefined"});
  expect_throws<ValueError>([&] { Tensor().zero_(); }, {"Tensor::zero_", "undefined"});
}

TEST(Tensor, FromAVector) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  const Tensor x = Tensor::from(values, {2, 3});
  EXPECT_EQ(x.dtype(), DType::Float64);
  EXPECT_EQ(x.to_vector<double>(), values);
  EXPECT_EQ(Tensor::from<std::int64_t>({7, 8}, {2}).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{7, 8}));
  expect_throws<ShapeError>(
      [&] {
        (void)Tensor::from(values, {2, 2});
      },
      {"Tensor::from", "6 values", "(2, 2)"});
}

TEST(Tensor, EmptyIsAlignedAndContiguous) {
  for (const DType dtype :
       {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64, DType::Int64}) {
    for (const std::int64_t count : {1, 2, 3, 5, 17, 64, 4097}) {
      const Tensor x = Tensor::empty({count, 3}, dtype);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.raw_data()) % 64, 0U);
      EXPECT_EQ(x.strides(), (Strides{3, 1}));
      EXPECT_EQ(x.numel(), count * 3);
      EXPECT_EQ(x.dtype(), dtype);
      EXPECT_EQ(x.device(), Device::cpu());
      EXPECT_TRUE(x.is_contiguous());
    }
  }
}

TEST(Tensor, ShapeAccessors) {
  const Tensor x = Tensor::zeros({2, 3, 4});
  EXPECT_EQ(x.shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(x.dim(), 3);
  EXPECT_EQ(x.size(0), 2);
  EXPECT_EQ(x.size(-1), 4);
  EXPECT_EQ(x.size(-3), 2);
  expect_throws<ShapeError>([&] { (void)x.size(3); }, {"Tensor::size", "axis 3", "[-3, 3)"});
  expect_throws<ShapeError>([&] { (void)x.size(-4); }, {"Tensor::size", "axis -4"});
}

TEST(Tensor, ZeroDimensional) {
  const Tensor x = Tensor::full({}, 7, DType::Int64);
  EXPECT_EQ(x.dim(), 0);
  EXPECT_EQ(x.numel(), 1);
  EXPECT_EQ(x.item<std::int64_t>(), 7);
  EXPECT_EQ(halnorm::halide_buffer(x).dimensions(), 0);
  EXPECT_TRUE(x.is_contiguous());
}

TEST(Tensor, EmptyExtents) {
  const Tensor x = Tensor::ones({0, 3});
  EXPECT_EQ(x.numel(), 0);
  EXPECT_TRUE(x.to_vector<float>().empty());
  EXPECT_EQ(x.transpose(0, 1).shape(), (Shape{3, 0}));
  EXPECT_EQ(x.clone().shape(), (Shape{0, 3}));
  EXPECT_EQ(Tensor::from_blob(nullptr, {0, 3}, DType::Float32).narrow(1, 1, 2).numel(), 0);
}

TEST(Tensor, FillersFill) {
  EXPECT_EQ(Tensor::zeros({2}).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(Tensor::ones({2}, DType::Float16).to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(Tensor::full({2}, -2.5, DType::Int64).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{-2, -2}));
}

TEST(Tensor, BadShapesThrow) {
  expect_throws<ShapeError>([] { Tensor::empty({2, -1}); }, {"Tensor::empty", "(2, -1)"});
  expect_throws<ShapeError>(
      [] {
        Tensor::empty({huge, huge});
      },
      {"Tensor::empty", "1099511627776", "63 bits"});
  expect_throws<ShapeError>([] { Tensor::empty({0, huge, huge}); }, {"63 bits"});
  expect_throws<ShapeError>([] { Tensor::empty({huge << 20}, DType::Float64); }, {"8 bytes"});
  const std::vector<float> three = {1, 2, 3};
  expect_throws<ShapeError>(
      [&] {
        Tensor::from(std::span<const float>(three), {2, 2});
      },
      {"Tensor::from", "3 values", "(2, 2)", "4"});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their operator new aborts
TEST(Tensor, MissingMemoryIsAnException) {
  EXPECT_THROW(Tensor::empty({huge << 10}, DType::Float64), std::bad_alloc);
  // The view takes no memory, but a copy does. The lower 32 bits of its size are 0, so that a
  // 32-bit size would be 0.
  float one = 1;
  const Tensor repeated = Tensor::from_blob(&one, {huge << 10}, DType::Float32, {0});
  EXPECT_THROW((void)repeated.to_vector<float>(), std::bad_alloc);
  EXPECT_THROW((void)repeated.clone(), std::bad_alloc);
}
#endif

TEST(Tensor, OtherDevicesAreRefused) {
  if (halnorm::is_available(halnorm::DeviceType::CUDA) ||
      halnorm::is_available(halnorm::DeviceType::OpenCL)) {
    GTEST_SKIP() << "a device is here";
  }
  expect_throws<DeviceError>([] { Tensor::zeros({1}, DType::Float32, Device::cuda(1)); },
                             {"cuda:1", "this build has no cuda kernels"});
  for (const Device negative : {Device::cuda(-1), Device::opencl(-1), Device::cuda(-7)}) {
    expect_throws<DeviceError>([&] { Tensor::empty({1}, DType::Float32, negative); },
                               {"Tensor::empty", negative.str(), "negative"});
  }
  expect_throws<DeviceError>([] { (void)Tensor::zeros({1}).to(Device::opencl()); },
                             {"Tensor::to", "opencl:0", "this build has no opencl kernels"});
  const Tensor x = Tensor::zeros({1});
  EXPECT_TRUE(x.to(Device::cpu()).is_same(x));
}

TEST(Tensor, FromBlobSeesTheCallersMemory) {
  float memory[] = {0, 1, 2, 3, 4, 5};
  const Tensor x = Tensor::from_blob(memory, {2, 3}, DType::Float32);
  EXPECT_EQ(x.data<float>(), memory);
  memory[4] = 40;
  EXPECT_EQ(x.to_vector<float>()[4], 40.0F);
  const Tensor backwards = Tensor::from_blob(memory + 5, {6}, DType::Float32, {-1});
  EXPECT_EQ(backwards.to_vector<float>(), (std::vector<float>{5, 40, 3, 2, 1, 0}));
  const Tensor repeated = Tensor::from_blob(memory, {2, 3}, DType::Float32, {0, 2});
  EXPECT_EQ(repeated.to_vector<float>(), (std::vector<float>{0, 2, 40, 0, 2, 40}));
  EXPECT_FALSE(repeated.is_contiguous());
}

TEST(Tensor, FromBlobChecksItsArguments) {
  float memory[4] = {};
  expect_throws<ValueError>([] { Tensor::from_blob(nullptr, {2}, DType::Float32); },
                            {"Tensor::from_blob", "null", "2 elements"});
  expect_throws<ShapeError>(
      [&] {
        Tensor::from_blob(memory, {2, 2}, DType::Float32, {1});
      },
      {"Tensor::from_blob", "1 strides", "2"});
  expect_throws<ShapeError>([&] { Tensor::from_blob(memory, {-2}, DType::Float32); }, {"(-2,)"});
  expect_throws<ShapeError>([&] { Tensor::from_blob(memory, {9}, DType::Float32, {huge << 20}); },
                            {"63 bits"});
}

TEST(Tensor, HandlesShareAndClonesDoNot) {
  Tensor x = counted({2, 2});
  Tensor handle = x;
  EXPECT_TRUE(handle.is_same(x));
  Tensor copy = x.clone();
  x.fill_(9);
  EXPECT_EQ(handle.to_vector<float>(), (std::vector<float>{9, 9, 9, 9}));
  EXPECT_EQ(copy.to_vector<float>(), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_FALSE(copy.is_same(x));
}

TEST(Tensor, SetDataChangesEveryHandle) {
  Tensor x = counted({2, 2});
  const Tensor handle = x;
  const Tensor other = Tensor::full({3}, 5, DType::Float64);
  x.set_data(other);
  EXPECT_TRUE(handle.is_same(x));
  EXPECT_FALSE(handle.is_same(other));
  EXPECT_EQ(handle.dtype(), DType::Float64);
  EXPECT_EQ(handle.data<double>(), other.data<double>());
  EXPECT_EQ(halnorm::halide_buffer(handle).dim(0).extent(), 3);
  expect_throws<ValueError>([&] { x.set_data(Tensor()); }, {"Tensor::set_data", "undefined"});
  EXPECT_EQ(handle.shape(), (Shape{3}));
}

TEST(Tensor, DataChecksTheType) {
  const Tensor x = Tensor::zeros({1});
  expect_throws<DTypeError>([&] { (void)x.data<double>(); },
                            {"Tensor::data", "float32", "float64"});
}

TEST(Tensor, ItemWantsOneElement) {
  EXPECT_EQ(Tensor::full({1, 1}, 2.5).item<double>(), 2.5);
  expect_throws<ShapeError>([] { (void)Tensor::zeros({2}).item<float>(); },
                            {"Tensor::item", "(2,)"});
}

TEST(Tensor, BufferCountsFromTheLastAxis) {
  const Tensor x = counted({2, 3, 4}).transpose(1, 2);
  const auto buffer = halnorm::halide_buffer(x);
  ASSERT_EQ(buffer.dimensions(), 3);
  EXPECT_EQ(buffer.dim(0).extent(), 3);
  EXPECT_EQ(buffer.dim(0).stride(), 4);
  EXPECT_EQ(buffer.dim(2).extent(), 2);
  EXPECT_EQ(buffer.type(), halide_type_of<float>());
  EXPECT_EQ(buffer.data(), x.raw_data());
  const Tensor deep = counted({1, 2, 1, 2, 1, 2, 1, 2, 1, 2});
  EXPECT_EQ(halnorm::halide_buffer(deep).dimensions(), 10);
  EXPECT_EQ(halnorm::halide_buffer(deep).dim(9).extent(), 1);
}

TEST(Tensor, BufferRefusesWhatHalideCannotHold) {
  float one = 1;
  const Tensor x = Tensor::from_blob(&one, {huge}, DType::Float32, {0});
  expect_throws<ShapeError>([&] { (void)halnorm::halide_buffer(x); }, {"halide_buffer", "32 bits"});
}

TEST(Tensor, RandnIsTheSameEverywhere) {
  const std::vector<double> first = Tensor::randn({3}, 1, DType::Float64).to_vector<double>();
  const std::vector<double> known = {0x1.5fb1423bda411p+0, 0x1.6656f876a066fp+0,
                                     0x1.4602fd1ca7d1cp-1};
  EXPECT_EQ(first, known);
  EXPECT_NE(first, (Tensor::randn({3}, 2, DType::Float64).to_vector<double>()));
  expect_throws<DTypeError>([] { Tensor::randn({1}, 1, DType::Int64); },
                            {"Tensor::randn", "int64"});
}

TEST(Tensor, RandnIsNormal) {
  constexpr int count = 200000;
  const std::vector<double> values = Tensor::randn({count}, 42, DType::Float64).to_vector<double>();
  double moments[4] = {};
  int within_one = 0;
  for (const double value : values) {
    double power = 1;
    for (double& moment : moments) {
      moment += (power *= value) / count;
    }
    within_one += std::fabs(value) < 1 ? 1 : 0;
  }
  // The bounds are five standard errors: sqrt(1, 2, 15, 96) / sqrt(count), and sqrt(p * (1 - p) /
  // count).
  EXPECT_NEAR(moments[0], 0, 0.0112);
  EXPECT_NEAR(moments[1], 1, 0.0159);
  EXPECT_NEAR(moments[2], 0, 0.0434);
  EXPECT_NEAR(moments[3], 3, 0.110);
  EXPECT_NEAR(within_one / double{count}, 0.682689, 0.0053);
}
