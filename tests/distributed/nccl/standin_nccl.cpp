#include "standin_nccl.h"

#include <cstdlib>
#include <cstring>

extern "C" {

ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  *rank = comm->engine->rank();
  return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int* count) {
  *count = comm->engine->size();
  return ncclSuccess;
}

ncclResult_t ncclCommCuDevice(ncclComm_t /*comm*/, int* device) {
  *device = standin::comm_device;
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = comm->async_error;
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void* sent, void* received, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t /*stream*/) {
  if (type != ncclUint8 || standin::device != standin::comm_device) {
    return ncclInvalidArgument;
  }
  if (!standin::stuck) {
    comm->engine->all_gather(sent, received, count);
  }
  return ncclSuccess;
}

ncclResult_t ncclBroadcast(const void* sent, void* received, size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t /*stream*/) {
  if (type != ncclUint8 || root != 0 || standin::device != standin::comm_device) {
    return ncclInvalidArgument;
  }
  std::memmove(received, sent, count);
  comm->engine->broadcast(received, count);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSystemError ? "unhandled system error" : "another error";
}

cudaError_t cudaGetDevice(int* device) {
  *device = standin::device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  standin::device = device;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** made, size_t bytes) {
  *made = std::malloc(bytes);
  ++standin::allocations;
  return *made == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  standin::allocations -= memory == nullptr ? 0 : 1;
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind /*kind*/,
                            cudaStream_t /*stream*/) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t /*stream*/) { return cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned /*flags*/) {
  *event = nullptr;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t /*event*/) { return cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t /*event*/, cudaStream_t /*stream*/) { return cudaSuccess; }

cudaError_t cudaEventQuery(cudaEvent_t /*event*/) {
  return standin::stuck ? cudaErrorNotReady : cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t /*error*/) { return "an error"; }

}  // extern "C"
