#include <dlfcn.h>

#include <bit>

#include "device/on_device.h"
#include "halnorm/cuda.h"
#include "support/kernel_test.h"

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;

namespace {

/// A CUDA program's context, stream and memory, made by the functions of the driver.
class Engine {
 public:
  Engine() {
    int device = 0;
    call("cuInit", 0U);
    call("cuDeviceGet", &device, 0);
    call("cuCtxCreate_v2", &context, 0U, device);
    call("cuStreamCreate", &stream, 1U);  // waits for no other stream
    call("cuMemAlloc_v2", &memory, bytes);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    halnorm::cuda::release(context);
    call("cuMemFree_v2", memory);
    call("cuStreamDestroy_v2", stream);
    call("cuCtxDestroy_v2", context);
  }

  void write(const Tensor& values) {
    call("cuMemcpyHtoDAsync_v2", memory, static_cast<const void*>(values.raw_data()), bytes,
         stream);
  }

  /// Reads in the stream, and so after all work that was queued before.
  std::vector<float> read() {
    std::vector<float> values(bytes / sizeof(float));
    call("cuMemcpyDtoHAsync_v2", static_cast<void*>(values.data()), memory, bytes, stream);
    call("cuStreamSynchronize", stream);
    return values;
  }

  static constexpr std::int64_t rows = 50000, channels = 3;
  static constexpr std::size_t bytes = rows * channels * sizeof(float);
  void* context = nullptr;
  void* stream = nullptr;
  unsigned long long memory = 0;

 private:
  template <class... Arguments>
  void call(const char* name, Arguments... arguments) {
    auto* function = std::bit_cast<int (*)(Arguments...)>(dlsym(driver_, name));
    ASSERT_NE(function, nullptr) << name;
    ASSERT_EQ(function(arguments...), 0) << name;
  }

  void* driver_ = dlopen("libcuda.so.1", RTLD_NOW);
};

class ForeignCuda : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!halnorm::is_available(halnorm::DeviceType::CUDA)) {
      GTEST_SKIP() << "no CUDA device here";
    }
  }

  static Tensor normalized(const Tensor& x) { return F::batch_norm_train(x, {}, {}, 1e-5).y; }

  static void expect_like(const std::vector<double>& got, const Tensor& wanted) {
    expect_near(got, inputs::real(wanted.to_vector<double>()), 2e-6, "y");
  }
};

}  // namespace

// The engine has a context, a stream and memory of its own, and halnorm does not wait.
TEST_F(ForeignCuda, WorkIsQueuedInTheStreamOfTheGuard) {
  const Tensor values = Tensor::randn({Engine::rows, Engine::channels}, 5);
  for (int engines = 0; engines < 2; ++engines) {  // the second may get the first's addresses
    Engine engine;
    engine.write(values);
    const halnorm::cuda::StreamGuard guard(engine.context, engine.stream);
    const Tensor x = Tensor::from_blob(std::bit_cast<void*>(engine.memory), values.shape(),
                                       DType::Float32, {}, Device::cuda());
    F::batch_norm_train(x, {}, {}, 1e-5, x);
    const std::vector<float> y = engine.read();
    expect_like({y.begin(), y.end()}, normalized(values));
  }
}

// Copies are queued too. In another stream they would overtake the queued work of this one, for
// which no other stream waits.
TEST_F(ForeignCuda, CopiesTakeTheirTurnInTheStream) {
  const Tensor values = Tensor::randn({Engine::rows, Engine::channels}, 6);
  Engine engine;
  const halnorm::cuda::StreamGuard guard(engine.context, engine.stream);
  const Tensor x = values.to(Device::cuda());
  Tensor y = Tensor::empty(x.shape(), DType::Float32, Device::cuda());
  for (int i = 0; i < 20; ++i) {
    y.copy_(normalized(x));
  }
  expect_like(y.clone().to_vector<double>(), normalized(values));
}

// A guard holds until the end of its scope. Afterwards the thread uses halnorm's own context.
TEST_F(ForeignCuda, AfterTheGuardAllIsAsBefore) {
  const Tensor x = Tensor::randn({40, 7}, 7);
  const Tensor there = x.to(Device::cuda());
  {
    Engine engine;
    const halnorm::cuda::StreamGuard guard(engine.context, engine.stream);
    expect_like(normalized(x.to(Device::cuda())).to_vector<double>(), normalized(x));
  }
  expect_like(normalized(there).to_vector<double>(), normalized(x));
}

TEST(ForeignCudaContext, ANullOneIsRefused) {
  EXPECT_THROW(halnorm::cuda::StreamGuard(nullptr, nullptr), halnorm::ValueError);
  EXPECT_THROW(halnorm::cuda::release(nullptr), halnorm::ValueError);
}
