#pragma once

#include <nccl.h>

#include <atomic>

#include "halnorm/distributed.h"

/// @file
/// A test double of NCCL and of the functions of CUDA that halnorm::nccl calls, on the host: a comm
/// is one of the tests' communicators, and the device's memory is the process's. No GPU is needed.

struct ncclComm {
  halnorm::Communicator* engine;
  ncclResult_t async_error = ncclSuccess;
};

namespace standin {

/// While true, nothing that is queued ends.
inline std::atomic<bool> stuck = false;
/// The device of the calling thread; the comms' is 3.
inline thread_local int device = 0;
inline constexpr int comm_device = 3;
/// Allocations of the device that are not freed.
inline std::atomic<int> allocations = 0;

}  // namespace standin
