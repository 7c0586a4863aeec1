#include "halnorm/nccl.h"

#include <string>
#include <thread>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::nccl {

namespace {

using Clock = std::chrono::steady_clock;

void check(ncclResult_t result, const char* function) {
  if (result != ncclSuccess) {
    throw CommunicationError(std::string(function) + ": " + ncclGetErrorString(result));
  }
}

void check(cudaError_t result, const char* function) {
  if (result != cudaSuccess) {
    throw CommunicationError(std::string(function) + ": " + cudaGetErrorString(result));
  }
}

/// The communicator's device is the calling thread's while this lives.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&outer_), "cudaGetDevice");
    check(cudaSetDevice(device), "cudaSetDevice");
  }
  ~DeviceGuard() { cudaSetDevice(outer_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int outer_ = 0;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(ncclComm_t comm, cudaStream_t stream, const Options& options)
      : comm_(comm), stream_(stream), options_(options) {
    check(ncclCommUserRank(comm, &rank_), "ncclCommUserRank");
    check(ncclCommCount(comm, &size_), "ncclCommCount");
    check(ncclCommCuDevice(comm, &device_), "ncclCommCuDevice");
    const DeviceGuard guard(device_);
    check(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~NcclCommunicator() override {
    // NCCL may still write to the buffer of an exchange that failed: it is never freed.
    if (broken_.empty()) {
      cudaFree(buffer_);
    }
    cudaEventDestroy(done_);
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    const std::size_t received = bytes * static_cast<std::size_t>(size_);
    exchange(mine, bytes, all, received, [&](std::byte* own, std::byte* result) {
      check(ncclAllGather(own, result, bytes, ncclUint8, comm_, stream_), "ncclAllGather");
    });
  }

  void broadcast(void* data, std::size_t bytes) override {
    exchange(data, bytes, data, bytes, [&](std::byte* own, std::byte* result) {
      check(ncclBroadcast(own, result, bytes, ncclUint8, 0, comm_, stream_), "ncclBroadcast");
    });
  }

 private:
  /// Queues a collective from the first bytes of the buffer to those after them.
  template <class Start>
  void exchange(const void* mine, std::size_t sent, void* all, std::size_t received, Start start) {
    if (!broken_.empty()) {
      throw CommunicationError("nccl: got a communicator that lost its step, wanted a new one: " +
                               broken_);
    }
    try {
      const DeviceGuard guard(device_);
      // NCCL is fastest on 16-byte bounds.
      const std::size_t begin = (sent + 15) / 16 * 16;
      reserve(begin + received);
      check(cudaMemcpyAsync(buffer_, mine, sent, cudaMemcpyHostToDevice, stream_),
            "cudaMemcpyAsync");
      start(buffer_, buffer_ + begin);
      wait();
      check(cudaMemcpyAsync(all, buffer_ + begin, received, cudaMemcpyDeviceToHost, stream_),
            "cudaMemcpyAsync");
      check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    } catch (const CommunicationError& error) {
      broken_ = error.what();
      throw;
    }
  }

  void reserve(std::size_t bytes) {
    if (bytes <= reserved_) {
      return;
    }
    check(cudaFree(buffer_), "cudaFree");
    buffer_ = nullptr;
    reserved_ = 0;
    void* made = nullptr;
    check(cudaMalloc(&made, bytes), "cudaMalloc");
    buffer_ = static_cast<std::byte*>(made);
    reserved_ = bytes;
  }

  void wait() const {
    check(cudaEventRecord(done_, stream_), "cudaEventRecord");
    const Clock::time_point end = Clock::now() + options_.timeout;
    for (cudaError_t state = cudaEventQuery(done_); state != cudaSuccess;
         state = cudaEventQuery(done_)) {
      if (state != cudaErrorNotReady) {
        check(state, "cudaEventQuery");
      }
      ncclResult_t result = ncclSuccess;
      check(ncclCommGetAsyncError(comm_, &result), "ncclCommGetAsyncError");
      if (result != ncclInProgress) {
        check(result, "ncclCommGetAsyncError");
      }
      if (Clock::now() > end) {
        throw CommunicationError("nccl: not all ranks came within " +
                                 std::to_string(options_.timeout.count()) + " ms");
      }
      std::this_thread::yield();
    }
  }

  ncclComm_t comm_;
  cudaStream_t stream_;
  Options options_;
  int rank_ = 0;
  int size_ = 1;
  int device_ = 0;
  cudaEvent_t done_ = nullptr;
  std::byte* buffer_ = nullptr;  ///< on the device
  std::size_t reserved_ = 0;
  std::string broken_;  ///< why; empty while it can be used
};

}  // namespace

std::shared_ptr<Communicator> communicator(ncclComm_t comm, cudaStream_t stream,
                                           const Options& options) {
  if (comm == nullptr) {
    throw ValueError("nccl::communicator: got a null comm, wanted one");
  }
  if (options.timeout.count() <= 0) {
    throw ValueError("nccl::communicator: got a timeout of " +
                     std::to_string(options.timeout.count()) + " ms, wanted one above 0");
  }
  return std::make_shared<NcclCommunicator>(comm, stream, options);
}

}  // namespace halnorm::HALNORM_ABI::nccl
