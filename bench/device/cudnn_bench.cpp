// cuDNN's batch normalization on the shapes of the suite, called directly: lines like those of
// device_bench.cpp. cuDNN has two modes for sums over N and L, and the quicker one depends on the
// shape: both are measured. The running statistics are left out, as they are of batch_norm_train.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "timing.h"

namespace {

using halnorm::bench::Batch;
using halnorm::bench::BenchShape;

constexpr double eps = 1e-5;
constexpr float one = 1;
constexpr float zero = 0;
constexpr auto plain_operation = CUDNN_BATCHNORM_OPS_BN;

void check(cudaError_t code) {
  if (code != cudaSuccess) {
    std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(code));
    std::exit(1);
  }
}

void require(cudnnStatus_t code) {
  if (code != CUDNN_STATUS_SUCCESS) {
    std::fprintf(stderr, "cuDNN: %s\n", cudnnGetErrorString(code));
    std::exit(1);
  }
}

class Memory {
 public:
  explicit Memory(std::size_t bytes) {
    check(cudaMalloc(&address_, std::max<std::size_t>(bytes, 1)));
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { cudaFree(address_); }

  [[nodiscard]] void* get() const { return address_; }

 private:
  void* address_ = nullptr;
};

struct Descriptor {
  cudnnTensorDescriptor_t handle = nullptr;

  Descriptor() { require(cudnnCreateTensorDescriptor(&handle)); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { cudnnDestroyTensorDescriptor(handle); }
};

/// x, dy and y or dx, large enough for any shape.
struct Data {
  Memory x, dy, out;

  explicit Data(std::size_t bytes) : x(bytes), dy(bytes), out(bytes) {}

  /// Random values, over and over.
  template <class T, class Round>
  void fill(std::size_t bytes, const Round& round) const {
    std::mt19937 random;
    std::normal_distribution<float> normal;
    std::vector<T> some(1 << 20);
    std::generate(some.begin(), some.end(), [&] { return round(normal(random)); });
    const std::size_t part = some.size() * sizeof(T);
    for (std::size_t start = 0; start < bytes; start += part) {
      for (const Memory* m : {&x, &dy}) {
        check(cudaMemcpy(static_cast<char*>(m->get()) + start, some.data(),
                         std::min(part, bytes - start), cudaMemcpyHostToDevice));
      }
    }
  }
};

/// One shape, layout and dtype, and what its calls need.
class Peer {
 public:
  Peer(cudnnHandle_t handle, const Batch& b, cudnnDataType_t type, cudnnBatchNormMode_t mode,
       const Data& data)
      : handle_(handle), mode_(mode), data_(data), channels_(ones(b.shape.c)) {
    const auto extent = [](std::int64_t e) { return static_cast<int>(e); };
    require(cudnnSetTensor4dDescriptor(
        x_.handle, b.channels_last ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW, type, extent(b.shape.n),
        extent(b.shape.c), 1, extent(b.shape.l)));
    require(cudnnDeriveBNTensorDescriptor(c_.handle, x_.handle, mode));
    size_t train = 0;
    size_t backward = 0;
    size_t reserve = 0;
    require(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
        handle, mode, plain_operation, x_.handle, nullptr, x_.handle, c_.handle, nullptr, &train));
    require(cudnnGetBatchNormalizationBackwardExWorkspaceSize(
        handle, mode, plain_operation, x_.handle, nullptr, x_.handle, nullptr, x_.handle, c_.handle,
        nullptr, &backward));
    require(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(handle, mode, plain_operation,
                                                                 nullptr, x_.handle, &reserve));
    workspace_bytes_ = std::max(train, backward);
    reserve_bytes_ = reserve;
    workspace_ = std::make_unique<Memory>(workspace_bytes_);
    reserve_ = std::make_unique<Memory>(reserve_bytes_);
  }

  cudnnStatus_t train() const {
    return cudnnBatchNormalizationForwardTrainingEx(
        handle_, mode_, plain_operation, &one, &zero, x_.handle, x(), nullptr, nullptr, x_.handle,
        out(), c_.handle, channel(weight), channel(bias), 1, nullptr, nullptr, eps, channel(mean),
        channel(invstd), nullptr, workspace_->get(), workspace_bytes_, reserve_->get(),
        reserve_bytes_);
  }

  cudnnStatus_t infer() const {
    return cudnnBatchNormalizationForwardInference(
        handle_, mode_, &one, &zero, x_.handle, x(), x_.handle, out(), c_.handle, channel(weight),
        channel(bias), channel(mean), channel(variance), eps);
  }

  cudnnStatus_t backward() const {
    return cudnnBatchNormalizationBackwardEx(
        handle_, mode_, plain_operation, &one, &zero, &one, &zero, x_.handle, x(), nullptr, nullptr,
        x_.handle, dy(), nullptr, nullptr, x_.handle, out(), c_.handle, channel(weight), nullptr,
        channel(dweight), channel(dbias), eps, channel(mean), channel(invstd), nullptr,
        workspace_->get(), workspace_bytes_, reserve_->get(), reserve_bytes_);
  }

 private:
  enum Channel { weight, bias, mean, invstd, variance, dweight, dbias, count };

  using Channels = std::array<std::unique_ptr<Memory>, count>;

  static Channels ones(std::int64_t c) {
    Channels all;
    const std::vector<float> values(static_cast<std::size_t>(c), 1);
    for (auto& memory : all) {
      const std::size_t bytes = values.size() * sizeof(float);
      memory = std::make_unique<Memory>(bytes);
      check(cudaMemcpy(memory->get(), values.data(), bytes, cudaMemcpyHostToDevice));
    }
    return all;
  }

  [[nodiscard]] void* channel(Channel c) const { return channels_[c]->get(); }
  [[nodiscard]] void* x() const { return data_.x.get(); }
  [[nodiscard]] void* dy() const { return data_.dy.get(); }
  [[nodiscard]] void* out() const { return data_.out.get(); }

  cudnnHandle_t handle_;
  cudnnBatchNormMode_t mode_;
  const Data& data_;
  Channels channels_;
  Descriptor x_, c_;
  size_t workspace_bytes_ = 0, reserve_bytes_ = 0;
  std::unique_ptr<Memory> workspace_, reserve_;
};

void measure(cudnnHandle_t handle, const Batch& b, cudnnDataType_t type, const Data& data) {
  const auto wait = [] { check(cudaDeviceSynchronize()); };
  for (const auto& [mode, name] : {std::pair{CUDNN_BATCHNORM_SPATIAL, "cudnn"},
                                   std::pair{CUDNN_BATCHNORM_SPATIAL_PERSISTENT, "persistent"}}) {
    const Peer peer(handle, b, type, mode, data);
    const auto report = [&](const char* operation, const auto& call) {
      if (call() == CUDNN_STATUS_SUCCESS) {  // it does not take every shape
        print(b, name, operation, halnorm::bench::times_of([&] { require(call()); }, wait));
      }
    };
    report("train", [&] { return peer.train(); });
    report("infer", [&] { return peer.infer(); });
    report("backward", [&] { return peer.backward(); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  cudnnHandle_t handle = nullptr;
  require(cudnnCreate(&handle));
  std::int64_t largest = 0;
  halnorm::bench::for_each_batch(
      quick, [&](const BenchShape& s, bool) { largest = std::max(largest, s.numel()); });
  const auto measure_all = [&](std::string_view dtype, cudnnDataType_t type, auto round) {
    using T = decltype(round(0.0F));
    const std::size_t bytes = static_cast<std::size_t>(largest) * sizeof(T);
    const Data data(bytes);
    data.fill<T>(bytes, round);
    halnorm::bench::for_each_batch(quick, [&](const BenchShape& s, bool channels_last) {
      measure(handle, {s, channels_last, dtype, sizeof(T)}, type, data);
    });
  };
  measure_all("float32", CUDNN_DATA_FLOAT, [](float v) { return v; });
  measure_all("float16", CUDNN_DATA_HALF, [](float v) { return __float2half(v); });
  measure_all("bfloat16", CUDNN_DATA_BFLOAT16, [](float v) { return __float2bfloat16(v); });
  cudnnDestroy(handle);
  return 0;
}
