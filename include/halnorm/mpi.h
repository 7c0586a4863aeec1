#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "halnorm/distributed.h"

/// @file
/// Ranks that are processes connected by MPI. Link halnorm::mpi; the option HALNORM_MPI builds it.

#pragma GCC visibility push(default)

/// Ranks connected by MPI.
namespace halnorm::HALNORM_ABI::mpi {

/// Settings of a communicator.
struct Options {
  /// The time that an exchange waits for the other ranks. If a rank died or makes another call, the
  /// others throw a CommunicationError after this time.
  std::chrono::milliseconds timeout{10'000};
  /// The largest message; a longer exchange is split into several.
  std::size_t message_bytes = std::size_t{1} << 28;
  /// Whether start_all_gather() starts exchanges of up to `message_bytes` bytes, so that layers
  /// compute while they are on their way. The results have the same bits.
  bool overlap = false;
};

/// A communicator on a duplicate of `comm`, so that its messages never match the caller's. `comm`
/// is any intracommunicator, including one made by MPI_Comm_split(). All ranks of `comm` call this
/// function.
///
/// The caller initializes MPI before, with at least MPI_THREAD_FUNNELED, and finalizes MPI after
/// the last use. At MPI_THREAD_FUNNELED the main thread makes all exchanges. From
/// MPI_THREAD_SERIALIZED on any thread may make them, one at a time.
///
/// An exchange that timed out cannot be undone: the communicator then refuses every later exchange
/// with an error that says so. To continue, make a new communicator of the ranks that are alive.
/// @throws ValueError for MPI_COMM_NULL, an intercommunicator, or a timeout or size that is not
///         above 0; CommunicationError if MPI is not ready or reports an error.
std::shared_ptr<Communicator> communicator(MPI_Comm comm, const Options& options = {});

}  // namespace halnorm::HALNORM_ABI::mpi

#pragma GCC visibility pop
