#include <numeric>

#include "device/on_device.h"
#include "halnorm/cuda.h"
#include "halnorm/halide.h"
#include "support/kernel_test.h"
#include "support/throws.h"

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::Shape;
using halnorm::ShapeError;
using halnorm::Tensor;

namespace {

Tensor counting(const Shape& shape, DType dtype = DType::Float32) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from<double>(values, shape).to(dtype);
}

/// One case per device.
class DeviceTensor : public on_device::Test {};

}  // namespace

TEST_P(DeviceTensor, GoesThereAndBack) {
  for (const DType dtype :
       {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16, DType::Int64}) {
    const Tensor host = counting({3, 4, 5}, dtype);
    const Tensor there = host.to(device());
    EXPECT_EQ(there.device(), device());
    EXPECT_EQ(there.dtype(), dtype);
    const Tensor back = there.to(Device::cpu());
    EXPECT_EQ(back.device(), Device::cpu());
    EXPECT_EQ(back.to_vector<double>(), host.to_vector<double>());
  }
}

TEST_P(DeviceTensor, ViewsShareTheMemory) {
  const Tensor host = counting({4, 6});
  Tensor there = host.to(device());
  EXPECT_EQ(there.transpose(0, 1).to_vector<double>(), host.transpose(0, 1).to_vector<double>());
  EXPECT_EQ(there.narrow(1, 2, 3).to_vector<double>(), host.narrow(1, 2, 3).to_vector<double>());
  EXPECT_EQ(there.reshape({2, 12}).to_vector<double>(), host.to_vector<double>());
  there.narrow(0, 1, 2).fill_(-1);
  Tensor wanted = host.clone();
  wanted.narrow(0, 1, 2).fill_(-1);
  EXPECT_EQ(there.to_vector<double>(), wanted.to_vector<double>());
  there.narrow(1, 5, 1).copy_(counting({4, 1}));
  wanted.narrow(1, 5, 1).copy_(counting({4, 1}));
  EXPECT_EQ(there.to_vector<double>(), wanted.to_vector<double>());
}

TEST_P(DeviceTensor, AFillPutsTheValueThereAndNowhereElse) {
  for (const DType dtype :
       {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64, DType::Int64}) {
    for (const double value : {0.0, 1.0, -3.0, 96.0}) {
      Tensor there = counting({5, 3}).to(dtype).to(device());
      there.narrow(0, 1, 3).fill_(value);
      Tensor wanted = counting({5, 3});
      wanted.narrow(0, 1, 3).fill_(value);
      EXPECT_EQ(there.to_vector<double>(), wanted.to_vector<double>()) << name_of(dtype) << value;
    }
  }
}

TEST_P(DeviceTensor, CopiesAreTheirOwn) {
  Tensor there = counting({5}).to(device());
  const Tensor copy = there.clone();
  there.zero_();
  EXPECT_EQ(copy.to_vector<double>(), counting({5}).to_vector<double>());
  EXPECT_EQ(there.to_vector<double>(), std::vector<double>(5, 0));
  EXPECT_EQ(copy.to(DType::Float16).device(), device());
  EXPECT_EQ(copy.narrow(0, 3, 1).item<double>(), 3);
  EXPECT_EQ(Tensor::ones({2}, DType::Float64, device()).to_vector<double>(),
            std::vector<double>(2, 1));
}

TEST_P(DeviceTensor, HostAccessIsRefused) {
  const Tensor there = Tensor::ones({2}, DType::Float32, device());
  expect_throws<DeviceError>([&] { static_cast<void>(there.data<float>()); },
                             {"Tensor::data", device().str(), "cpu"});
  expect_throws<DeviceError>([&] { static_cast<void>(halnorm::halide_buffer(there)); },
                             {"halide_buffer", device().str(), "cpu"});
}

TEST_P(DeviceTensor, AnArgumentOnAnotherDeviceIsRefused) {
  const Tensor x = Tensor::randn({4, 3}, 1);
  const Tensor weight = Tensor::ones({3});
  expect_throws<DeviceError>([&] { F::batch_norm_train(x.to(device()), weight, {}, 1e-5); },
                             {"batch_norm_train: weight", "cpu", device().str()});
  expect_throws<DeviceError>([&] { F::batch_norm_train(x, weight.to(device()), {}, 1e-5); },
                             {"batch_norm_train: weight", device().str(), "cpu"});
  expect_throws<DeviceError>(
      [&] {
        F::batch_norm_train(x.to(device()), {}, {}, 1e-5, Tensor::empty({4, 3}));
      },
      {"batch_norm_train: out", "cpu", device().str()});
}

TEST_P(DeviceTensor, RandomValuesAreThoseOfTheHost) {
  EXPECT_EQ(Tensor::randn({7}, 3, DType::Float32, device()).to_vector<double>(),
            Tensor::randn({7}, 3).to_vector<double>());
}

TEST_P(DeviceTensor, GradientsAreAddedUpThereByHandToo) {
  halnorm::Parameter parameter(Tensor::zeros({2, 2}, DType::Float32, device()));
  const Tensor delta = counting({2, 2}).to(device());
  parameter.accumulate_grad(delta);
  parameter.accumulate_grad(delta);
  EXPECT_EQ(parameter.grad().to_vector<double>(), (std::vector<double>{0, 2, 4, 6}));
  expect_throws<DeviceError>(
      [&] {
        parameter.accumulate_grad(counting({2, 2}));
      },
      {"accumulate_grad", "cpu", device().str()});
}

TEST_P(DeviceTensor, GradientsInsideATensorAreAddedWhereTheyLie) {
  Tensor all = Tensor::zeros({7}, DType::Float32, device());
  halnorm::nn::BatchNorm1d module(3);
  module.to(device());
  module.bias.set_grad(all.narrow(0, 2, 3));
  module(Tensor::randn({4, 3}, 1).to(device()));
  module.backward(Tensor::ones({4, 3}, DType::Float32, device()));
  EXPECT_EQ(all.to_vector<double>(), (std::vector<double>{0, 0, 4, 4, 4, 0, 0}));
}

// The parameter is either refused or, if the device has addresses, read at the right place.
TEST_P(DeviceTensor, AParameterThatIsAPartOfATensorIsRefusedOrRight) {
  const Tensor x = Tensor::randn({8, 3}, 1);
  const Tensor all = Tensor::randn({7}, 2);
  const Tensor part = all.to(device()).narrow(0, 1, 3);
  const auto call = [&] { return F::batch_norm_train(x.to(device()), part, {}, 1e-5).y; };
  if (device().type == halnorm::DeviceType::OpenCL) {
    expect_throws<DeviceError>([&] { static_cast<void>(call()); }, {"weight", "part", "clone()"});
  } else {
    const Tensor want = F::batch_norm_train(x, all.narrow(0, 1, 3), {}, 1e-5).y;
    expect_near(call().to_vector<double>(), inputs::real(want.to_vector<double>()), 2e-6, "y");
  }
}

TEST_P(DeviceTensor, ParametersOfOtherDtypesAreConverted) {
  const Tensor x = Tensor::randn({8, 3, 4}, 1);
  for (const DType dtype : {DType::Float64, DType::Float16}) {
    const Tensor weight = Tensor::randn({3}, 2, dtype);
    const auto want = F::batch_norm_train(x, weight, {}, 1e-5);
    const auto got = F::batch_norm_train(x.to(device()), weight.to(device()), {}, 1e-5);
    EXPECT_EQ(got.y.dtype(), want.y.dtype());
    EXPECT_EQ(got.y.device(), device());
    expect_near(got.y.to_vector<double>(), inputs::real(want.y.to_vector<double>()), 2e-6, "y");
  }
}

TEST_P(DeviceTensor, OverlapsAreFoundThereToo) {
  const Tensor all = Tensor::randn({8, 3}, 1).to(device());
  const Tensor x = all.narrow(0, 0, 6);
  const Tensor out = all.narrow(0, 2, 6);
  expect_throws<ShapeError>([&] { F::batch_norm_train(x, {}, {}, 1e-5, out); }, {"overlaps"});
}

TEST_P(DeviceTensor, ASecondDeviceOfATypeIsRefused) {
  Device other = device();
  other.index = 7;
  // The call with a missing device chooses no device, so that the next call can choose one.
  expect_throws<DeviceError>([&] { Tensor::empty({1}, DType::Float32, other); }, {other.str()});
  EXPECT_EQ(Tensor::ones({1}, DType::Float32, device()).item<float>(), 1);
  expect_throws<DeviceError>([&] { Tensor::empty({1}, DType::Float32, other); },
                             {"Tensor::empty", other.str(), device().str()});
}

TEST_P(DeviceTensor, WindowsAndStridesAreNormalizedInPlace) {
  const Tensor host = Tensor::randn({6, 9, 20}, 3);
  const Tensor there = host.to(device());
  const auto window = [](const Tensor& t) {
    return t.narrow(0, 1, 4).narrow(1, 2, 5).narrow(2, 3, 11);
  };
  const Tensor wanted = F::batch_norm_train(window(host), {}, {}, 1e-5).y;
  const Tensor got = F::batch_norm_train(window(there), {}, {}, 1e-5).y;
  expect_near(got.to_vector<double>(), inputs::real(wanted.to_vector<double>()), 2e-6, "y");

  Tensor out = Tensor::zeros({6, 9, 20}, DType::Float32, device());
  F::batch_norm_train(window(there), {}, {}, 1e-5, window(out));
  Tensor all = Tensor::zeros({6, 9, 20});
  window(all).copy_(wanted);
  expect_near(out.to_vector<double>(), inputs::real(all.to_vector<double>()), 2e-6, "out");
}

TEST_P(DeviceTensor, OneChannelMayLieInARowOrWithGaps) {
  const auto values = [](const Tensor& t) { return inputs::real(t.to_vector<double>()); };
  for (const std::int64_t rows : {50, 70000}) {
    const Tensor host = Tensor::randn({rows, 2}, 4);
    const Tensor both = host.to(device());
    const auto train = F::batch_norm_train(host.narrow(1, 0, 1), {}, {}, 1e-5);
    const auto back = F::batch_norm_backward(host.narrow(1, 1, 1), host.narrow(1, 0, 1), {},
                                             train.mean, train.invstd);
    const Tensor gaps = both.narrow(1, 0, 1), dense = gaps.contiguous();
    const Tensor dy_gaps = both.narrow(1, 1, 1), dy_dense = dy_gaps.contiguous();
    for (const Tensor& x : {dense, gaps}) {
      const Tensor& dy = x.is_contiguous() ? dy_gaps : dy_dense;
      for (const Tensor& out :
           {Tensor::zeros({rows, 1}, DType::Float32, device()),
            Tensor::zeros({rows, 2}, DType::Float32, device()).narrow(1, 1, 1)}) {
        const auto got = F::batch_norm_train(x, {}, {}, 1e-5, out);
        expect_near(out.to_vector<double>(), values(train.y), 2e-6, "y");
        F::batch_norm_backward(dy, x, {}, got.mean, got.invstd, out);
        expect_near(out.to_vector<double>(), values(back.dx), 2e-6, "dx");
      }
    }
  }
}

TEST_P(DeviceTensor, FewRowsOfManyChannelsAreNormalizedAlongThese) {
  const Tensor host = Tensor::randn({7, 4100}, 5);
  const Tensor there = host.to(device());
  const Tensor mean = Tensor::randn({4100}, 6), var = Tensor::ones({4100});
  const auto infer = [&](const Tensor& x) {
    return F::batch_norm_infer(x, mean.to(x.device()), var.to(x.device()), {}, {}, 1e-5);
  };
  const auto values = [](const Tensor& t) { return inputs::real(t.to_vector<double>()); };
  expect_near(infer(there).to_vector<double>(), values(infer(host)), 2e-6, "y");
  infer(there);
  EXPECT_NE(halnorm::last_kernel().find("_ncl_"), std::string::npos) << halnorm::last_kernel();
  // Channels that are not adjacent are copied first.
  const Tensor gaps = Tensor::randn({4100, 7}, 5).transpose(0, 1);
  expect_near(infer(gaps.to(device())).to_vector<double>(), values(infer(gaps)), 2e-6, "of gaps");
  const auto elemt = [&](const Tensor& x) {
    const Tensor shift = mean.narrow(0, 2, 4097).contiguous().to(x.device());
    const Tensor scale = var.narrow(0, 2, 4097).contiguous().to(x.device());
    return F::batch_norm_elemt(x.narrow(1, 2, 4097), {}, {}, shift, scale);
  };
  expect_near(elemt(there).to_vector<double>(), values(elemt(host)), 2e-6, "elemt");
}

TEST_P(DeviceTensor, SynchronizeWaits) {
  const Tensor x = Tensor::randn({64, 64}, 1).to(device());
  const Tensor y = F::batch_norm_train(x, {}, {}, 1e-5).y;
  halnorm::synchronize(device());
  EXPECT_EQ(y.to_vector<double>().size(), 4096U);
}

TEST_P(DeviceTensor, ItsKernelsAreListed) {
  for (const auto& kernel : halnorm::kernels()) {
    const bool of_device =
        kernel.target == (device().type == halnorm::DeviceType::CUDA ? "cuda" : "opencl");
    EXPECT_TRUE(!of_device || kernel.runs_here) << kernel.name;
  }
  for (const std::string& target : halnorm::targets()) {
    EXPECT_TRUE(target != "opencl" && target != "cuda");
  }
}

TEST(Devices, OneThatIsNotLinkedOrNotHereIsAnErrorAndTheCpuGoesOn) {
  for (const Device device : {Device::cuda(), Device::opencl()}) {
    if (halnorm::is_available(device.type)) {
      continue;
    }
    expect_throws<DeviceError>([&] { Tensor::empty({1}, DType::Float32, device); },
                               {"Tensor::empty", device.str(), "cannot be used"});
    expect_throws<DeviceError>([&] { static_cast<void>(Tensor::ones({1}).to(device)); },
                               {device.str()});
    expect_throws<DeviceError>([&] { halnorm::nn::BatchNorm1d(3).to(device); }, {device.str()});
  }
  EXPECT_EQ(F::batch_norm_train(Tensor::randn({4, 3}, 1), {}, {}, 1e-5).y.numel(), 12);
}

TEST(Devices, AStreamGuardWantsAContext) {
  int stream = 0;
  EXPECT_THROW(halnorm::cuda::StreamGuard(nullptr, &stream), halnorm::Error);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceTensor);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceTensor, ::testing::ValuesIn(on_device::one_case_each()),
                         on_device::name_of_param);
