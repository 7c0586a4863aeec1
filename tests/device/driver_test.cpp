// Tests the calls of CUDA's driver with a test double of the driver: no GPU is needed, and nothing
// is computed.

#include <algorithm>
#include <bit>
#include <memory>
#include <ranges>

#include "device/standin_cuda.h"
#include "gtest/gtest.h"
#include "halnorm/cuda.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::cuda::StreamGuard;
using halnorm::nn::BatchNorm1d;

namespace {

const Device gpu = Device::cuda();

/// An engine has a context and a stream of its own.
struct Engine {
  void* context = standin::new_context();
  void* stream = standin::new_stream();
  StreamGuard guard() const { return {context, stream}; }
};

Tensor empty(std::int64_t n, std::int64_t c) { return Tensor::empty({n, c}, DType::Float32, gpu); }

std::size_t count(const std::vector<standin::Call>& calls, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(
      calls.begin(), calls.end(), [&](const standin::Call& call) { return call.name == name; }));
}

/// The calls of the driver by a copy into a window of five rows.
std::vector<standin::Call> calls_that_write_five_rows() {
  Tensor window = empty(5, 8).narrow(1, 2, 3);
  standin::take_calls();
  window.copy_(Tensor::ones({5, 3}));
  std::vector<standin::Call> calls = standin::take_calls();
  EXPECT_EQ(window.to_vector<float>(), std::vector<float>(15, 1.0F));
  return calls;
}

/// One step of training through layers, each of which makes its own output.
void step(std::vector<std::unique_ptr<BatchNorm1d>>& layers, const Tensor& x) {
  std::vector<Tensor> outputs{x};
  for (const auto& layer : layers) {
    layer->zero_grad();
    outputs.push_back((*layer)(outputs.back()));
  }
  F::batch_norm_moments(outputs.back());
  Tensor gradient = outputs.back();
  for (const auto& layer : std::views::reverse(layers)) {
    gradient = layer->backward(gradient);
  }
}

}  // namespace

// This test is the first one, because a process keeps the device that it has found.
TEST(CudaDriver, AGpuThatIsOlderThanTheKernelsOrComputesNothingCannotBeUsed) {
  expect_throws<DeviceError>(
      [] {
        Tensor::empty({2, 3}, DType::Float32, Device::cuda(1));
      },
      {"cuda:1 cannot be used", "kernels do not run there"});
  expect_throws<DeviceError>(
      [] {
        Tensor::empty({2, 3}, DType::Float32, Device::cuda(2));
      },
      {"cuda:2 cannot be used", "kernels compute nothing there", "got 0.0", "wanted 3.5"});
  EXPECT_TRUE(halnorm::is_available(halnorm::DeviceType::CUDA));
  F::batch_norm_train(empty(2, 3), {}, {}, 1e-5);
}

TEST(CudaDriver, AllThatACallAsksForGoesIntoTheStreamOfTheGuardAndNothingWaits) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  std::vector<std::unique_ptr<BatchNorm1d>> layers;
  for (int i = 0; i < 60; ++i) {
    layers.push_back(std::make_unique<BatchNorm1d>(16));
    layers.back()->to(gpu);
  }
  const Tensor x = empty(50, 16);
  step(layers, x);  // compiles, and allocates
  step(layers, x);
  standin::take_calls();
  step(layers, x);
  const std::vector<standin::Call> calls = standin::take_calls();
  EXPECT_GE(count(calls, "cuLaunchKernel"), 2 * layers.size());
  for (const standin::Call& call : calls) {
    EXPECT_EQ(call.context, engine.context) << call.name;
    EXPECT_EQ(call.stream, engine.stream) << call.name;
    EXPECT_TRUE(call.name == "cuLaunchKernel" || call.name == "cuMemset") << call.name;
  }
}

// A launch takes longer than the update of a layer's statistics.
TEST(CudaDriver, AStepOfTrainingIsTwoLaunchesWhereChannelsHaveFewValuesElseFour) {
  BatchNorm1d layer(16);
  halnorm::nn::FusedBatchNorm1d fused(16);
  layer.to(gpu);
  fused.to(gpu);
  for (const std::int64_t rows : {50, 5000}) {
    const Tensor x = empty(rows, 16);
    for (const bool adds : {false, true}) {  // to gradients that are there
      layer.zero_grad(!adds);
      fused.zero_grad(!adds);
      standin::take_calls();
      layer(x);
      layer.backward(x);
      EXPECT_EQ(count(standin::take_calls(), "cuLaunchKernel"), rows == 50 ? 2U : 4U);
      fused(x, x);
      fused.backward(x);  // relu's backward comes first
      EXPECT_EQ(count(standin::take_calls(), "cuLaunchKernel"), rows == 50 ? 3U : 5U);
    }
  }
}

TEST(CudaDriver, MemoryIsUsedAgainWhereItWasMadeWhereverItEnds) {
  const Engine engine;
  const Engine other;
  const void* address = nullptr;
  {
    Tensor made;
    {
      const StreamGuard guard = engine.guard();
      made = empty(30, 1000);
      address = made.raw_data();
    }
    const StreamGuard guard = other.guard();
    made = Tensor();
    EXPECT_NE(empty(30, 1000).raw_data(), address);
  }
  EXPECT_NE(empty(30, 1000).raw_data(), address);
  const StreamGuard again = engine.guard();
  EXPECT_EQ(empty(30, 1000).raw_data(), address);
}

TEST(CudaDriver, TensorsOfAnotherContextAreRefused) {
  const Engine engine;
  BatchNorm1d layer(4);
  layer.to(gpu);
  const Tensor outside = empty(5, 4);
  Tensor inside;
  {
    const StreamGuard guard = engine.guard();
    inside = empty(5, 4);
    expect_throws<DeviceError>([&] { layer(inside); }, {"running_mean", "another CUDA context"});
    expect_throws<DeviceError>([&] { F::batch_norm_train(outside, {}, {}, 1e-5); }, {"x lies in"});
    expect_throws<DeviceError>([&] { F::batch_norm_train(inside, {}, {}, 1e-5, outside); },
                               {"out lies in"});
    expect_throws<DeviceError>([&] { (void)outside.to(Device::cpu()); }, {"that of this thread's"});
    expect_throws<DeviceError>([&] { inside.copy_(outside); }, {"the source lies in"});
    BatchNorm1d ours(4);
    ours.to(gpu);
    ours.weight.set_grad(outside.narrow(0, 0, 1).reshape({4}));
    ours(inside);
    expect_throws<DeviceError>([&] { ours.backward(inside); }, {"weight.grad", "another CUDA"});
  }
  expect_throws<DeviceError>([&] { F::batch_norm_train(inside, {}, {}, 1e-5); }, {"halnorm's own"});
}

TEST(CudaDriver, WhereMemoryIsTakenWhatIsKeptIsGivenBack) {
  { const std::vector<Tensor> several{empty(11, 5000), empty(12, 9000), empty(13, 20000)}; }
  standin::take_calls();
  standin::refuse_allocations(2);  // Halide tries a second time itself
  const Tensor x = empty(14, 50000);
  const std::vector<standin::Call> calls = standin::take_calls();
  EXPECT_GE(count(calls, "cuMemFree"), 3U);
  EXPECT_EQ(count(calls, "cuMemAlloc"), 3U);
  standin::refuse_allocations(4);
  expect_throws<DeviceError>([] { empty(15, 90000); }, {"Tensor::empty", "cuda:0"});
  EXPECT_EQ(empty(15, 90000).numel(), 15 * 90000);
}

// Blocks of sizes that are not requested again do not accumulate.
TEST(CudaDriver, NoMoreIsKeptThanWasInUse) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  empty(1, 1);  // finds the device
  standin::take_calls();
  for (std::int64_t rows = 1000; rows <= 4000; rows += 50) {
    empty(rows, 4000);
  }
  const std::vector<standin::Call> calls = standin::take_calls();
  EXPECT_GE(count(calls, "cuMemAlloc"), 10U);
  EXPECT_LE(count(calls, "cuMemAlloc"), count(calls, "cuMemFree") + 4);
}

// The end of a context frees its memory; another context may then have its address.
TEST(CudaDriver, ATensorMayEndAfterItsContext) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  const void* address = nullptr;
  {
    const Tensor late = empty(20, 3000);
    address = late.raw_data();
    halnorm::cuda::release(engine.context);
    standin::take_calls();
  }
  EXPECT_TRUE(standin::take_calls().empty());
  EXPECT_NE(empty(20, 3000).raw_data(), address);
}

TEST(CudaDriver, AFillIsPutIntoTheStreamOfTheGuard) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  for (const DType dtype : {DType::BFloat16, DType::Float32, DType::Float64, DType::Int64}) {
    for (const double value : {0.0, 1.0, -3.0}) {
      Tensor there = Tensor::zeros({7}, dtype, gpu);
      standin::take_calls();
      there.narrow(0, 2, 4).fill_(value);
      for (const standin::Call& call : standin::take_calls()) {
        EXPECT_EQ(call.name, "cuMemset");
        EXPECT_EQ(call.context, engine.context);
        EXPECT_EQ(call.stream, engine.stream);
      }
      EXPECT_EQ(there.to_vector<double>(),
                (std::vector<double>{0, 0, value, value, value, value, 0}));
    }
  }
}

// Streams that are made later do not wait for the first one.
TEST(CudaDriver, WhatIsKeptForAllStreamsIsWaitedFor) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  const Tensor x = empty(8, 4);
  standin::take_calls();
  F::batch_norm_train(x, {}, {}, 1e-5);  // needs a weight of one and a bias of zero
  const std::vector<standin::Call> calls = standin::take_calls();
  EXPECT_EQ(count(calls, "cuMemset"), 2U);
  EXPECT_EQ(count(calls, "cuStreamSynchronize"), 2U);
  F::batch_norm_train(x, {}, {}, 1e-5);
  EXPECT_EQ(standin::take_calls().size(), 1U);
}

// Another thread may write the memory between a window's elements at the same time.
TEST(CudaDriver, AWindowIsWrittenRowByRowAndNothingElse) {
  const std::vector<standin::Call> calls = calls_that_write_five_rows();
  EXPECT_EQ(count(calls, "cuMemcpyHtoD"), 5U);
  EXPECT_EQ(calls.size(), 5U);
}

TEST(CudaDriver, AWindowIsWrittenInTheStreamOfTheGuardWhichIsWaitedForOnce) {
  const Engine engine;
  const StreamGuard guard = engine.guard();
  const std::vector<standin::Call> calls = calls_that_write_five_rows();
  EXPECT_EQ(count(calls, "cuMemcpyAsync"), 5U);
  ASSERT_EQ(calls.size(), 6U);
  EXPECT_EQ(calls.back().name, "cuStreamSynchronize");
  EXPECT_EQ(calls.back().stream, engine.stream);
}

TEST(CudaDriver, ReleaseWaitsForTheContextAndGivesBackItsMemory) {
  const Engine engine;
  {
    const StreamGuard guard = engine.guard();
    F::batch_norm_train(empty(30, 7), {}, {}, 1e-5);
  }
  standin::take_calls();
  halnorm::cuda::release(engine.context);
  const std::vector<standin::Call> calls = standin::take_calls();
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls.front().name, "cuCtxSynchronize");
  EXPECT_GE(count(calls, "cuMemFree"), 2U);
  EXPECT_GE(count(calls, "cuModuleUnload"), 1U);
  EXPECT_EQ(calls.front().context, engine.context);
  expect_throws<ValueError>([] { halnorm::cuda::release(nullptr); }, {"cuda::release"});
  expect_throws<ValueError>(
      [&] { StreamGuard(engine.context, std::bit_cast<void*>(std::uintptr_t{2})); },
      {"StreamGuard", "CU_STREAM_PER_THREAD"});
}

TEST(CudaDriver, ForeignMemoryIsCheckedBeforeItIsUsed) {
  const auto wrap = [](std::uintptr_t address, halnorm::Shape shape) {
    return Tensor::from_blob(std::bit_cast<void*>(address), std::move(shape), DType::Float32, {},
                             gpu);
  };
  EXPECT_EQ(wrap(0x1004, {2, 3}).raw_data(), std::bit_cast<void*>(std::uintptr_t{0x1004}));
  expect_throws<ValueError>([&] { wrap(0x1002, {2, 3}); }, {"Tensor::from_blob", "multiple of 4"});
  expect_throws<ShapeError>([&] { wrap(0x1000, {3, std::int64_t{1} << 30}); }, {"2147483647"});
}
