#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/throws.h"

/// @file
/// Every function that makes a tensor refuses invalid values of DType and DeviceType, with its own
/// name in the message.

using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DeviceType;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::MemoryError;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Sequential;

namespace {

constexpr auto no_dtype = static_cast<DType>(77);
constexpr Device no_device(static_cast<DeviceType>(77), 0);

using Maker = std::pair<const char*, std::function<Tensor(DType, Device)>>;

float memory[8] = {};

/// Each makes a tensor of eight elements.
std::vector<Maker> makers() {
  return {
      {"Tensor::empty", [](DType t, Device d) { return Tensor::empty({8}, t, d); }},
      {"Tensor::zeros", [](DType t, Device d) { return Tensor::zeros({8}, t, d); }},
      {"Tensor::ones", [](DType t, Device d) { return Tensor::ones({8}, t, d); }},
      {"Tensor::full", [](DType t, Device d) { return Tensor::full({8}, 2, t, d); }},
      {"Tensor::from_blob",
       [](DType t, Device d) { return Tensor::from_blob(memory, {8}, t, {}, d); }},
      {"Tensor::to", [](DType t, Device d) { return Tensor::zeros({8}).to(t).to(d); }},
  };
}

}  // namespace

TEST(UnknownDType, IsRefusedByName) {
  for (const auto& [name, make] : makers()) {
    SCOPED_TRACE(name);
    expect_throws<DTypeError>([&] { make(no_dtype, Device::cpu()); }, {name, "DType(77)", "int64"});
    EXPECT_EQ(make(DType::Float32, Device::cpu()).numel(), 8);
  }
  expect_throws<DTypeError>([] { Tensor::randn({8}, 1, no_dtype); },
                            {"Tensor::randn", "DType(77)"});
  expect_throws<DTypeError>([] { Tensor::from_blob(memory, {8}, no_dtype); },
                            {"Tensor::from_blob", "DType(77)"});
  expect_throws<DTypeError>([] { Tensor::empty({0}, no_dtype); }, {"Tensor::empty", "DType(77)"});
}

TEST(UnknownDType, EveryOtherValueIsRefused) {
  for (int value = 5; value < 256; ++value) {
    const auto dtype = static_cast<DType>(value);
    EXPECT_FALSE(halnorm::is_floating(dtype));
    expect_throws<DTypeError>([&] { Tensor::zeros({8}, dtype); },
                              {"DType(" + std::to_string(value) + ")"});
  }
}

TEST(UnknownDType, LeavesAModuleAsItWas) {
  BatchNorm1d layer(4);
  Sequential empty;
  for (halnorm::nn::Module* module :
       {static_cast<halnorm::nn::Module*>(&layer), static_cast<halnorm::nn::Module*>(&empty)}) {
    expect_throws<DTypeError>([&] { module->to(no_dtype); }, {"DType(77)", "floating point"});
    expect_throws<DTypeError>([&] { module->to(Device::cpu(), no_dtype); }, {"DType(77)"});
  }
  EXPECT_EQ(layer.weight.data().dtype(), DType::Float32);
  EXPECT_EQ(layer(Tensor::ones({2, 4})).numel(), 8);
}

TEST(UnknownDevice, IsRefusedByName) {
  for (const auto& [name, make] : makers()) {
    SCOPED_TRACE(name);
    expect_throws<DeviceError>([&] { make(DType::Float32, no_device); },
                               {name, "DeviceType(77):0"});
  }
  expect_throws<DeviceError>([] { Tensor::randn({8}, 1, DType::Float32, no_device); },
                             {"DeviceType(77):0"});
  expect_throws<DeviceError>([] { Tensor::empty({0}, DType::Float32, no_device); },
                             {"Tensor::empty", "DeviceType(77):0"});
  expect_throws<DeviceError>([] { halnorm::synchronize(no_device); },
                             {"synchronize", "DeviceType(77):0"});
  EXPECT_FALSE(halnorm::is_available(no_device.type));
  BatchNorm1d layer(4);
  expect_throws<DeviceError>([&] { layer.to(no_device); }, {"DeviceType(77):0"});
  EXPECT_EQ(layer(Tensor::ones({2, 4})).numel(), 8);
}

TEST(UnknownDevice, NeitherIsAnIndex) {
  for (const int index : {-1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    for (const DeviceType type : {DeviceType::CPU, DeviceType::CUDA, DeviceType::OpenCL}) {
      for (const auto& [name, make] : makers()) {
        SCOPED_TRACE(name);
        const std::string wanted =
            type == DeviceType::CPU ? std::to_string(index) : Device(type, index).str();
        expect_throws<DeviceError>(
            [&, &m = make] {
              m(DType::Float32, {type, index});
            },
            {name, wanted});
      }
    }
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their operator new aborts
TEST(TooMuchMemory, NamesFunctionAndSize) {
  constexpr std::int64_t huge = std::int64_t{1} << 58;
  const Tensor repeated = Tensor::from_blob(memory, {huge}, DType::Float32, {0});
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"Tensor::empty", [] { Tensor::empty({huge}); }},
      {"Tensor::zeros", [] { Tensor::zeros({huge}); }},
      {"Tensor::ones", [] { Tensor::ones({huge}); }},
      {"Tensor::full", [] { Tensor::full({huge}, 2); }},
      {"Tensor::randn", [] { Tensor::randn({huge}, 1); }},
      {"Tensor::clone", [&] { (void)repeated.clone(); }},
      {"Tensor::to", [&] { (void)repeated.to(DType::BFloat16); }},
      {"Tensor::to_vector", [&] { (void)repeated.to_vector<float>(); }},
  };
  for (const auto& [name, call] : calls) {
    expect_throws<MemoryError>(call, {name, "(288230376151711744,)", "elements of"});
  }
}
#endif
