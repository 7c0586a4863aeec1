#include <HalideRuntime.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "device/on_device.h"
#include "support/kernel_test.h"
#include "support/throws.h"

extern "C" {
const halide_device_interface_t* halide_opencl_device_interface();
std::uintptr_t halide_opencl_get_cl_mem(void* context, halide_buffer_t* buffer);
int halide_acquire_cl_context(void* user_context, void** context, void** queue, bool create);
int halide_release_cl_context(void* user_context);
void* halide_opencl_get_symbol(void* user_context, const char* name);
}

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;

namespace {

/// Blocks Halide's queue until go_on() is called, or until a timeout, so that a test that waits for
/// the queue ends.
class HeldQueue {
 public:
  HeldQueue() {
    void* context = nullptr;
    void* queue = nullptr;
    EXPECT_EQ(halide_acquire_cl_context(nullptr, &context, &queue, true), 0);
    int code = 0;
    event_ = call<void* (*)(void*, int*)>("clCreateUserEvent")(context, &code);
    EXPECT_EQ(code, 0);
    using Barrier = int (*)(void*, unsigned, void* const*, void*);
    EXPECT_EQ(call<Barrier>("clEnqueueBarrierWithWaitList")(queue, 1, &event_, nullptr), 0);
    halide_release_cl_context(nullptr);
    watch_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      ended_ = !told_.wait_for(lock, std::chrono::seconds(20), [this] { return going_on_; });
      EXPECT_EQ(call<int (*)(void*, int)>("clSetUserEventStatus")(event_, 0), 0);
      EXPECT_EQ(call<int (*)(void*)>("clReleaseEvent")(event_), 0);
    });
  }
  HeldQueue(const HeldQueue&) = delete;
  HeldQueue& operator=(const HeldQueue&) = delete;
  ~HeldQueue() { go_on(); }

  /// Unblocks the queue. True if the timeout did not do so before.
  bool go_on() {
    if (watch_.joinable()) {
      {
        const std::scoped_lock lock(mutex_);
        going_on_ = true;
      }
      told_.notify_one();
      watch_.join();
    }
    return !ended_;
  }

 private:
  template <class Function>
  static Function call(const char* name) {
    return reinterpret_cast<Function>(halide_opencl_get_symbol(nullptr, name));
  }

  void* event_ = nullptr;
  std::mutex mutex_;
  std::condition_variable told_;
  bool going_on_ = false;
  std::atomic<bool> ended_ = false;
  std::thread watch_;
};

/// The results of a step of training and of one of inference.
std::vector<Tensor> steps(halnorm::nn::BatchNorm1d& layer, const Tensor& x) {
  layer.train();
  layer.zero_grad();
  const Tensor y = layer(x);
  const Tensor dx = layer.backward(y);
  layer.eval();
  const Tensor served = layer(x);
  return {y,
          dx,
          served,
          layer.backward(served).clone(),
          layer.running_var.clone(),
          layer.weight.grad().clone()};
}

}  // namespace

TEST(ForeignOpenCl, NothingWaitsForTheQueue) {
  if (!halnorm::is_available(halnorm::DeviceType::OpenCL)) {
    GTEST_SKIP() << "no OpenCL device here";
  }
  const Tensor x = Tensor::randn({30, 5, 7}, 3);
  halnorm::nn::BatchNorm1d here(5);
  halnorm::nn::BatchNorm1d there(5);
  there.to(Device::opencl());
  const Tensor x_there = x.to(Device::opencl());
  steps(there, x_there);  // compiles
  HeldQueue queue;
  const std::vector<Tensor> got = steps(there, x_there);
  EXPECT_TRUE(queue.go_on());
  steps(here, x);
  const std::vector<Tensor> wanted = steps(here, x);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    SCOPED_TRACE(i);
    const auto want = inputs::real(wanted[i].to_vector<double>());
    expect_near(got[i].to_vector<double>(), want, 1e-5 * (1 + largest(want)), "t");
  }
}

// The memory is allocated by an engine.
TEST(ForeignOpenCl, MemoryIsUsedWithoutACopy) {
  const Device device = Device::opencl();
  if (!halnorm::is_available(device.type)) {
    GTEST_SKIP() << "no OpenCL device here";
  }
  halide_dimension_t axis(0, 60, 1);
  halide_buffer_t theirs{};
  theirs.type = halide_type_t(halide_type_float, 32);
  theirs.dimensions = 1;
  theirs.dim = &axis;
  ASSERT_EQ(halide_device_malloc(nullptr, &theirs, halide_opencl_device_interface()), 0);
  auto* handle = std::bit_cast<void*>(halide_opencl_get_cl_mem(nullptr, &theirs));
  {
    Tensor x = Tensor::from_blob(handle, {20, 3}, DType::Float32, {}, device);
    x.copy_(Tensor::randn({20, 3}, 5));
    const Tensor same = Tensor::from_blob(handle, {20, 3}, DType::Float32, {1, 20}, device);
    expect_throws<halnorm::ShapeError>([&] { F::batch_norm_train(x, {}, {}, 1e-5, same); },
                                       {"out overlaps an input"});
    F::batch_norm_train(x, {}, {}, 1e-5, x);
  }
  std::vector<float> read(60);
  theirs.host = reinterpret_cast<std::uint8_t*>(read.data());
  theirs.set_device_dirty();
  ASSERT_EQ(halide_copy_to_host(nullptr, &theirs), 0);
  const Tensor wanted = F::batch_norm_train(Tensor::randn({20, 3}, 5), {}, {}, 1e-5).y;
  expect_near({read.begin(), read.end()}, inputs::real(wanted.to_vector<double>()), 2e-6, "y");
  halide_device_free(nullptr, &theirs);
}
