#include <filesystem>

#include "device/on_device.h"
#include "support/kernel_test.h"
#include "support/throws.h"

using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

class DeviceModule : public on_device::Test {
 protected:
  static void expect_same(const Tensor& got, const Tensor& want, const char* what) {
    expect_near(got.to_vector<double>(), inputs::real(want.to_vector<double>()),
                1e-5 * (1 + largest(inputs::real(want.to_vector<double>()))), what);
  }

  /// Two steps of training and one of inference, on both.
  static void expect_alike(BatchNorm1d& here, BatchNorm1d& there, Device device) {
    for (std::uint64_t step = 0; step < 2; ++step) {
      const Tensor x = Tensor::randn({10, 6, 7}, step);
      const Tensor dy = Tensor::randn({10, 6, 7}, step + 10);
      expect_same(there(x.to(device)), here(x), "y");
      expect_same(there.backward(dy.to(device)), here.backward(dy), "dx");
    }
    expect_same(there.running_mean, here.running_mean, "running_mean");
    expect_same(there.running_var, here.running_var, "running_var");
    expect_same(there.weight.grad(), here.weight.grad(), "weight.grad");
    expect_same(there.bias.grad(), here.bias.grad(), "bias.grad");
    EXPECT_EQ(there.num_batches_tracked.item<std::int64_t>(), 2);
    here.eval();
    there.eval();
    const Tensor x = Tensor::randn({10, 6, 7}, 20);
    expect_same(there(x.to(device)), here(x), "y of inference");
    expect_same(there.backward(x.to(device)), here.backward(x), "dx of inference");
  }
};

}  // namespace

TEST_P(DeviceModule, TrainsAsOnTheCpu) {
  BatchNorm1d here(6);
  BatchNorm1d there(6);
  there.to(Device(device().str()));
  EXPECT_EQ(there.weight.data().device(), device());
  EXPECT_EQ(there.running_var.device(), device());
  EXPECT_EQ(there.num_batches_tracked.device(), Device::cpu());
  expect_alike(here, there, device());
}

TEST_P(DeviceModule, TheAverageOverAllBatchesNeedsNoMomentum) {
  BatchNorm1d here(6, {.momentum = std::nullopt});
  BatchNorm1d there(6, {.momentum = std::nullopt});
  there.to(device());
  expect_alike(here, there, device());
}

TEST_P(DeviceModule, GradientsMoveAndComeBack) {
  BatchNorm1d module(6);
  module(Tensor::randn({4, 6}, 1));
  module.backward(Tensor::randn({4, 6}, 2));
  const auto before = module.weight.grad().to_vector<double>();
  module.to(device());
  EXPECT_EQ(module.weight.grad().device(), device());
  module.to(Device::cpu());
  EXPECT_EQ(module.weight.grad().to_vector<double>(), before);
  EXPECT_EQ(module(Tensor::randn({4, 6}, 1)).device(), Device::cpu());
}

TEST_P(DeviceModule, AnInputOnTheOtherDeviceIsRefused) {
  BatchNorm1d module(6);
  module.to(device());
  expect_throws<halnorm::DeviceError>(
      [&] {
        module(Tensor::randn({4, 6}, 1));
      },
      {device().str(), "cpu"});
  EXPECT_EQ(module.num_batches_tracked.item<std::int64_t>(), 0);
}

TEST_P(DeviceModule, StateIsSavedFromThereAndLoadedThere) {
  BatchNorm1d module(6);
  module.to(device());
  module(Tensor::randn({9, 6}, 1).to(device()));
  const auto path = std::filesystem::temp_directory_path() / "halnorm_device_state.safetensors";
  halnorm::save(module.state_dict(), path);
  BatchNorm1d other(6);
  other.to(device());
  other.load_state_dict(halnorm::load(path));
  EXPECT_EQ(other.running_mean.device(), device());
  EXPECT_EQ(other.running_mean.to_vector<double>(), module.running_mean.to_vector<double>());
  EXPECT_EQ(other.num_batches_tracked.item<std::int64_t>(), 1);
  std::filesystem::remove(path);
}

TEST_P(DeviceModule, NarrowParametersAddUp) {
  BatchNorm1d module(6);
  module.to(device(), DType::Float16);
  const Tensor x = Tensor::randn({9, 6}, 1, DType::Float16).to(device());
  for (int i = 0; i < 2; ++i) {
    module(x);
    module.backward(x);
  }
  EXPECT_EQ(module.weight.grad().dtype(), DType::Float16);
  EXPECT_EQ(module.weight.grad().device(), device());
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceModule);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceModule, ::testing::ValuesIn(on_device::one_case_each()),
                         on_device::name_of_param);
