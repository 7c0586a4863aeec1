// cuDNN's batch normalization on the shapes of the suite, called directly. cuDNN has two modes for
// sums over N and L, and the quicker one depends on the shape: both are measured. The running
// statistics are left out, as they are of batch_norm_train.

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "../suite/measure.h"
#include "../suite/suite.h"

namespace halnorm::bench {
namespace {

constexpr float one = 1;
constexpr float zero = 0;
constexpr auto plain_operation = CUDNN_BATCHNORM_OPS_BN;

void require(cudaError_t code) {
  if (code != cudaSuccess) throw std::runtime_error(cudaGetErrorString(code));
}

void require(cudnnStatus_t code) {
  if (code != CUDNN_STATUS_SUCCESS) throw std::runtime_error(cudnnGetErrorString(code));
}

struct Release {
  void operator()(void* memory) const { cudaFree(memory); }
  void operator()(cudnnTensorStruct* descriptor) const { cudnnDestroyTensorDescriptor(descriptor); }
};
using Memory = std::unique_ptr<void, Release>;
using Descriptor = std::unique_ptr<cudnnTensorStruct, Release>;

Memory allocate(std::size_t bytes) {
  void* address = nullptr;
  require(cudaMalloc(&address, std::max<std::size_t>(bytes, 1)));
  return Memory(address);
}

Memory on_gpu(const Tensor& t) {
  const std::size_t bytes = static_cast<std::size_t>(t.numel()) * size_of(t.dtype());
  Memory memory = allocate(bytes);
  require(cudaMemcpy(memory.get(), t.raw_data(), bytes, cudaMemcpyHostToDevice));
  return memory;
}

Descriptor make_descriptor() {
  cudnnTensorDescriptor_t descriptor = nullptr;
  require(cudnnCreateTensorDescriptor(&descriptor));
  return Descriptor(descriptor);
}

/// x, dy and y or dx.
struct Data {
  explicit Data(const Problem& p) : x(on_gpu(p.x)), dy(on_gpu(p.dy)), out(on_gpu(p.out)) {}
  Memory x, dy, out;
};

cudnnDataType_t data_type_of(DType dtype) {
  if (dtype == DType::Float32) return CUDNN_DATA_FLOAT;
  return dtype == DType::Float16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

/// One case, and the handles and memory that its calls need.
class Peer {
 public:
  Peer(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const Case& item, Problem& problem)
      : handle_(handle),
        mode_(mode),
        weight_(on_gpu(problem.weight)),
        bias_(on_gpu(problem.bias)),
        mean_(on_gpu(problem.running_mean)),
        spread_(on_gpu(problem.running_var)),
        dweight_(on_gpu(problem.weight)),
        dbias_(on_gpu(problem.bias)) {
    if (!problem.copies) problem.copies = std::make_shared<Data>(problem);
    data_ = std::static_pointer_cast<Data>(problem.copies);
    const auto extent = [](std::int64_t e) { return static_cast<int>(e); };
    const auto format = item.layout == Layout::Ncl ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
    require(cudnnSetTensor4dDescriptor(x_.get(), format, data_type_of(item.dtype),
                                       extent(item.shape.n), extent(item.shape.c), 1,
                                       extent(item.shape.l)));
    require(cudnnDeriveBNTensorDescriptor(c_.get(), x_.get(), mode));
    allocate_workspace();
  }

  [[nodiscard]] cudnnStatus_t train() const {
    return cudnnBatchNormalizationForwardTrainingEx(
        handle_, mode_, plain_operation, &one, &zero, x_.get(), data_->x.get(), nullptr, nullptr,
        x_.get(), data_->out.get(), c_.get(), weight_.get(), bias_.get(), 1, nullptr, nullptr, eps,
        mean_.get(), spread_.get(), nullptr, workspace_.get(), workspace_bytes_, reserve_.get(),
        reserve_bytes_);
  }

  [[nodiscard]] cudnnStatus_t infer() const {
    return cudnnBatchNormalizationForwardInference(
        handle_, mode_, &one, &zero, x_.get(), data_->x.get(), x_.get(), data_->out.get(), c_.get(),
        weight_.get(), bias_.get(), mean_.get(), spread_.get(), eps);
  }

  [[nodiscard]] cudnnStatus_t backward() const {
    return cudnnBatchNormalizationBackwardEx(
        handle_, mode_, plain_operation, &one, &zero, &one, &zero, x_.get(), data_->x.get(),
        nullptr, nullptr, x_.get(), data_->dy.get(), nullptr, nullptr, x_.get(), data_->out.get(),
        c_.get(), weight_.get(), nullptr, dweight_.get(), dbias_.get(), eps, mean_.get(),
        spread_.get(), nullptr, workspace_.get(), workspace_bytes_, reserve_.get(), reserve_bytes_);
  }

 private:
  void allocate_workspace() {
    size_t train = 0;
    size_t backward = 0;
    require(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
        handle_, mode_, plain_operation, x_.get(), nullptr, x_.get(), c_.get(), nullptr, &train));
    require(cudnnGetBatchNormalizationBackwardExWorkspaceSize(
        handle_, mode_, plain_operation, x_.get(), nullptr, x_.get(), nullptr, x_.get(), c_.get(),
        nullptr, &backward));
    require(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(
        handle_, mode_, plain_operation, nullptr, x_.get(), &reserve_bytes_));
    workspace_bytes_ = std::max(train, backward);
    workspace_ = allocate(workspace_bytes_);
    reserve_ = allocate(reserve_bytes_);
  }

  cudnnHandle_t handle_;
  cudnnBatchNormMode_t mode_;
  std::shared_ptr<Data> data_;
  Memory weight_, bias_, mean_;
  Memory spread_;  ///< the variance; training writes, and backward reads, 1 / std
  Memory dweight_, dbias_;
  Descriptor x_ = make_descriptor(), c_ = make_descriptor();
  size_t workspace_bytes_ = 0, reserve_bytes_ = 0;
  Memory workspace_, reserve_;
};

Series series(const std::string& name, cudnnHandle_t handle, cudnnBatchNormMode_t mode) {
  const auto body = [=](benchmark::State& state, const Case& item, Problem& problem) {
    const Peer peer(handle, mode, item, problem);
    const auto call = item.info.name == "train"   ? &Peer::train
                      : item.info.name == "infer" ? &Peer::infer
                                                  : &Peer::backward;
    if ((peer.*call)() != CUDNN_STATUS_SUCCESS) {
      state.SkipWithError("cuDNN does not take the shape");
      return;
    }
    measure_queued(
        state, [&] { require((peer.*call)()); }, [] { require(cudaDeviceSynchronize()); });
  };
  return {name, body, [](const Case& item) { return item.info.group == "plain"; }};
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  cudnnHandle_t handle = nullptr;
  require(cudnnCreate(&handle));
  const int code = run_program(argc, argv,
                               {series("cudnn", handle, CUDNN_BATCHNORM_SPATIAL),
                                series("persistent", handle, CUDNN_BATCHNORM_SPATIAL_PERSISTENT)});
  cudnnDestroy(handle);
  return code;
}
