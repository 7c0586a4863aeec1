#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Net;
using fixture::tensor;
using fixture::values;
using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Parameter;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;

namespace {

/// Checks the floating dtype of all tensors, gradients included; the counter stays Int64.
void expect_dtype(const BatchNorm1d& layer, DType dtype) {
  EXPECT_EQ(layer.weight.data().dtype(), dtype);
  EXPECT_EQ(layer.bias.data().dtype(), dtype);
  EXPECT_EQ(layer.running_mean.dtype(), dtype);
  EXPECT_EQ(layer.running_var.dtype(), dtype);
  EXPECT_EQ(layer.num_batches_tracked.dtype(), DType::Int64);
  EXPECT_EQ(layer.weight.grad().dtype(), dtype);
}

std::vector<DType> dtypes_of(const Module& module) {
  std::vector<DType> dtypes;
  for (const auto& [name, tensor] : module.state_dict()) {
    dtypes.push_back(tensor.dtype());
  }
  return dtypes;
}

}  // namespace

TEST(Conversion, FloatingTensorsAndGradients) {
  BatchNorm1d layer(2);
  layer.weight.set_grad(tensor({1.5, -2}));
  layer.weight.set_requires_grad(false);
  const Parameter weight = layer.weight;
  const Tensor grad = weight.grad();
  EXPECT_EQ(&layer.to_double(), &layer);
  expect_dtype(layer, DType::Float64);
  EXPECT_TRUE(layer.weight.is_same(weight));
  EXPECT_TRUE(layer.weight.grad().is_same(grad));
  EXPECT_EQ(values(grad), (std::vector<double>{1.5, -2}));
  EXPECT_FALSE(layer.weight.requires_grad());
  layer.to_half();
  expect_dtype(layer, DType::Float16);
  layer.to_bfloat16();
  expect_dtype(layer, DType::BFloat16);
  layer.to_float();
  expect_dtype(layer, DType::Float32);
  layer.to(Device::cpu(), DType::Float64);
  expect_dtype(layer, DType::Float64);
  layer.to(Tensor::ones({1}));
  expect_dtype(layer, DType::Float32);
  layer.cpu().to(Device::cpu());
  expect_dtype(layer, DType::Float32);
}

TEST(Conversion, ADoubleModuleComputesInDouble) {
  BatchNorm1d layer(1);
  layer.to_double();
  const Tensor y = layer(Tensor::from(std::span<const double>(std::vector<double>{1, 3}), {2, 1}));
  EXPECT_EQ(y.dtype(), DType::Float64);
  EXPECT_NEAR(values(y)[1], 1 / std::sqrt(1 + 1e-5), 1e-14);
}

TEST(Conversion, SharingIsKept) {
  Net net;
  net.register_buffer("view", net.p.data());
  net.to_double();
  EXPECT_TRUE(net.get_parameter("q").is_same(net.get_parameter("p")));
  EXPECT_TRUE(net.get_buffer("view").is_same(net.p.data()));
  EXPECT_EQ(&net.get_submodule("c"), net.a.get());
  EXPECT_EQ(net.a->weight.data().dtype(), DType::Float64);
}

TEST(Conversion, WrongDTypes) {
  BatchNorm1d layer(2);
  const std::string text =
      "nn.Module.to only accepts floating point dtypes, but got desired dtype=int64";
  EXPECT_EQ(fixture::message_of<DTypeError>([&] { layer.to(DType::Int64); }), text);
  EXPECT_EQ(fixture::message_of<DTypeError>([&] { layer.to(layer.num_batches_tracked); }), text);
  EXPECT_EQ(fixture::message_of<DTypeError>([&] { layer.to(Device::cpu(), DType::Int64); }), text);
}

TEST(Conversion, AMissingDeviceIsAnError) {
  if (halnorm::is_available(halnorm::DeviceType::CUDA) ||
      halnorm::is_available(halnorm::DeviceType::OpenCL)) {
    GTEST_SKIP() << "a device is here";
  }
  Net net;
  expect_throws<DeviceError>([&] { net.cuda(); }, {"a.weight: ", "cuda:0"});
  expect_throws<DeviceError>([&] { net.to(Device::opencl(0)); }, {"opencl:0"});
  expect_throws<DeviceError>([] { Device unknown("bogus"); }, {"bogus"});
  expect_throws<DeviceError>([&] { net.to(Device::cuda(3), DType::Float64); }, {"cuda:3"});
  EXPECT_EQ(net.p.data().dtype(), DType::Float32);
}

TEST(Conversion, AFailureAnywhereChangesNothing) {
  Net net;
  net.p.set_grad(tensor({1, 2}));
  const auto before = dtypes_of(net);
  const auto weight = net.a->weight.data();
  std::size_t calls = 0;
  net.apply_to_tensors([&](const Tensor& t) {
    ++calls;
    return t;
  });
  EXPECT_EQ(calls, 18U) << "each once: 7 parameters, 1 gradient, 10 buffers";
  for (std::size_t failing = 0; failing < calls; ++failing) {
    std::size_t call = 0;
    expect_throws<halnorm::ValueError>(
        [&] {
          net.apply_to_tensors([&](const Tensor& t) {
            if (call++ == failing) {
              throw halnorm::ValueError("enough");
            }
            return t.to(DType::Float64);
          });
        },
        {": enough"});
    EXPECT_EQ(dtypes_of(net), before);
    EXPECT_TRUE(net.a->weight.data().is_same(weight));
  }
  net.to_half();
  EXPECT_EQ(net.a->weight.data().dtype(), DType::Float16) << "nothing is left of the failures";
  EXPECT_EQ(net.a->running_mean.dtype(), DType::Float16);
}

TEST(Conversion, ResultsMustFit) {
  BatchNorm1d layer(2);
  layer.weight.set_grad(tensor({1, 2}));
  expect_throws<halnorm::ValueError>(
      [&] { layer.apply_to_tensors([](const Tensor&) { return Tensor(); }); },
      {"undefined", "'weight'"});
  expect_throws<halnorm::ValueError>([&] { layer.to(Tensor()); }, {"undefined"});
  expect_throws<DTypeError>(
      [&] { layer.apply_to_tensors([](const Tensor& t) { return t.to(DType::Int64); }); },
      {"int64", "'weight'"});
  const Tensor grad = layer.weight.grad();
  expect_throws<halnorm::ShapeError>(
      [&] {
        layer.apply_to_tensors(
            [&](const Tensor& t) { return t.is_same(grad) ? t.narrow(0, 0, 1) : t; });
      },
      {"gradient", "'weight'", "(1,)", "(2,)"});
  expect_throws<halnorm::ValueError>([&] { layer.apply_to_tensors(nullptr); }, {"empty function"});
  EXPECT_EQ(layer.weight.data().shape(), halnorm::Shape{2});
}

TEST(Conversion, AnyFunction) {
  BatchNorm1d layer(2);
  layer.apply_to_tensors([](const Tensor& t) { return t.dim() == 0 ? t : Tensor::full({2}, 7); });
  EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{7, 7}));
  EXPECT_EQ(values(layer.running_var), (std::vector<double>{7, 7}));
}
