#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "halnorm/distributed.h"

/// @file
/// Ranks that are processes connected by MPI. Link halnorm::mpi; the option HALNORM_MPI builds it.

#pragma GCC visibility push(default)

namespace halnorm::mpi {

struct Options {
  /// How long an exchange waits for the other ranks. A rank that died, or went another way, ends
  /// the others with a CommunicationError after this time.
  std::chrono::milliseconds timeout{10'000};
  /// Longer exchanges are cut into messages of at most this size.
  std::size_t message_bytes = std::size_t{1} << 28;
};

/// A communicator on a duplicate of `comm`, so that its messages meet none of the caller's; for any
/// intracommunicator, also one that MPI_Comm_split() made. All ranks of `comm` call it.
///
/// MPI is the caller's: initialized before, with MPI_THREAD_FUNNELED at least, and finalized after
/// the last use. At MPI_THREAD_FUNNELED all exchanges are the main thread's; at
/// MPI_THREAD_SERIALIZED and above any thread's, one after the other.
///
/// An exchange that timed out cannot be taken back: the communicator then refuses all later ones,
/// and says so. A new one, of ranks that are alive, is the way on.
/// @throws ValueError for MPI_COMM_NULL, an intercommunicator, or a timeout or size that is not
///         above 0; CommunicationError if MPI is not ready or reports an error.
std::shared_ptr<Communicator> communicator(MPI_Comm comm, const Options& options = {});

}  // namespace halnorm::mpi

#pragma GCC visibility pop
