#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "halnorm/device.h"
#include "halnorm/error.h"
#include "halnorm/grad_mode.h"
#include "halnorm/tensor.h"
#include "support/throws.h"

using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Parameter;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using Doubles = std::vector<double>;

TEST(Parameter, UndefinedHasNothing) {
  const Parameter none;
  EXPECT_FALSE(none.defined());
  EXPECT_FALSE(none.data().defined());
  EXPECT_FALSE(none.grad().defined());
  EXPECT_FALSE(none.requires_grad());
  expect_throws<ValueError>([&] { none.set_grad(Tensor::zeros({1})); },
                            {"Parameter::set_grad", "undefined"});
  expect_throws<ValueError>([&] { none.accumulate_grad(Tensor::zeros({1})); },
                            {"Parameter::accumulate_grad", "undefined"});
  expect_throws<ValueError>([&] { none.set_requires_grad(true); },
                            {"Parameter::set_requires_grad"});
  expect_throws<ValueError>([] { Parameter{Tensor()}; }, {"Parameter", "undefined"});
}

TEST(Parameter, HandlesShare) {
  const Parameter weight(Tensor::ones({2}));
  const Parameter handle = weight;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_TRUE(handle.is_same(weight));
  EXPECT_FALSE(Parameter(weight.data()).is_same(weight));
  handle.set_requires_grad(false);
  EXPECT_FALSE(weight.requires_grad());
  handle.set_grad(Tensor::full({2}, 3));
  EXPECT_EQ(weight.grad().to_vector<double>(), (Doubles{3, 3}));
  weight.set_grad(Tensor());
  EXPECT_FALSE(handle.grad().defined());
}

TEST(Parameter, GradientsAccumulate) {
  const Parameter weight(Tensor::ones({2}));
  Tensor delta = Tensor::full({2}, 0.5);
  weight.accumulate_grad(delta);
  delta.fill_(2);
  EXPECT_EQ(weight.grad().to_vector<double>(), (Doubles{0.5, 0.5})) << "the first is cloned";
  const Tensor grad = weight.grad();
  weight.accumulate_grad(delta.to(DType::Float64));
  EXPECT_TRUE(weight.grad().is_same(grad));
  EXPECT_EQ(grad.to_vector<double>(), (Doubles{2.5, 2.5}));
  weight.accumulate_grad(grad);
  EXPECT_EQ(grad.to_vector<double>(), (Doubles{5, 5}));
}

TEST(Parameter, GradientsTakeTheDataDtype) {
  const Parameter weight(Tensor::ones({3}, DType::Float16));
  weight.accumulate_grad(Tensor::full({3}, 0.25, DType::Float64));
  weight.accumulate_grad(Tensor::full({3}, 0.25, DType::Float32));
  EXPECT_EQ(weight.grad().dtype(), DType::Float16);
  EXPECT_EQ(weight.grad().to_vector<double>(), (Doubles{0.5, 0.5, 0.5}));
}

TEST(Parameter, ShapesMustAgree) {
  const Parameter weight(Tensor::ones({2}));
  expect_throws<ShapeError>([&] { weight.set_grad(Tensor::zeros({3})); },
                            {"Parameter::set_grad", "(3,)", "(2,)"});
  expect_throws<ShapeError>(
      [&] {
        weight.accumulate_grad(Tensor::zeros({1, 2}));
      },
      {"Parameter::accumulate_grad", "(1, 2)", "(2,)"});
  EXPECT_FALSE(weight.grad().defined());
}

TEST(Parameter, IntegersHaveNoGradient) {
  expect_throws<DTypeError>([] { Parameter(Tensor::zeros({1}, DType::Int64)); },
                            {"Parameter", "int64"});
  const Parameter fixed(Tensor::zeros({1}, DType::Int64), false);
  expect_throws<DTypeError>([&] { fixed.set_requires_grad(true); }, {"int64"});
  EXPECT_FALSE(fixed.requires_grad());
}

TEST(Device, ParsesItsNames) {
  EXPECT_EQ(Device("cpu"), Device::cpu());
  EXPECT_EQ(Device("cuda"), Device::cuda(0));
  EXPECT_EQ(Device("cuda:12"), Device::cuda(12));
  EXPECT_EQ(Device("opencl:1"), Device::opencl(1));
  EXPECT_EQ(Device::cpu().str(), "cpu");
  EXPECT_EQ(Device::cuda(3).str(), "cuda:3");
  EXPECT_EQ(Device("opencl").str(), "opencl:0");
}

TEST(Device, RefusesOtherNames) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda1", "cpu:1",
                           "CPU", "cuda:99999999999"}) {
    expect_throws<DeviceError>([&] { (void)Device(name); }, {"Device", name, "cuda:<index>"});
  }
}

TEST(GradMode, GuardsNestAndBelongToAThread) {
  EXPECT_TRUE(halnorm::grad_enabled());
  {
    const halnorm::NoGradGuard outer;
    {
      const halnorm::NoGradGuard inner;
      EXPECT_FALSE(halnorm::grad_enabled());
    }
    EXPECT_FALSE(halnorm::grad_enabled());
    bool elsewhere = false;
    std::thread([&] { elsewhere = halnorm::grad_enabled(); }).join();
    EXPECT_TRUE(elsewhere);
  }
  EXPECT_TRUE(halnorm::grad_enabled());
}
