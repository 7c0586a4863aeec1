#pragma once

#include <nccl.h>

#include <chrono>
#include <memory>

#include "halnorm/distributed.h"

/// @file
/// Ranks that are connected by NCCL, each with a GPU of its own. Link halnorm::nccl; the option
/// HALNORM_NCCL builds it.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nccl {

/// Options of communicator().
struct Options {
  /// How long an exchange waits for the other ranks, and for what is queued before it in the
  /// stream. After it the rank throws a CommunicationError.
  std::chrono::milliseconds timeout{10'000};
};

/// A communicator that exchanges by `comm`, in order with what else is queued in `stream`. Both are
/// the caller's, belong to one device, and live longer than the result; `comm` is a blocking one.
/// An exchange returns when its bytes are there; the stream must not be one that is being captured.
///
/// Statistics are merged on the host, in the order of ranks, as with any other engine: an exchange
/// copies one rank's few values to the device and all ranks' back.
///
/// After an error or a timeout the communicator refuses all later exchanges, and says so. `comm`
/// is then the caller's to end by ncclCommAbort(). A Placement of some ranks only needs a `comm` of
/// its own, which ncclCommSplit() makes.
/// @throws ValueError for a null comm or a timeout that is not above 0; CommunicationError if NCCL
///         or CUDA reports an error.
std::shared_ptr<Communicator> communicator(ncclComm_t comm, cudaStream_t stream,
                                           const Options& options = {});

}  // namespace halnorm::HALNORM_ABI::nccl

#pragma GCC visibility pop
