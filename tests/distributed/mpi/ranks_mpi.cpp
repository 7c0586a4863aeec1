#include <gtest/gtest.h>
#include <mpi.h>

#include <exception>

#include "distributed/ranks.h"
#include "halnorm/mpi.h"

namespace ranks {

using halnorm::Placement;

/// The first `count` processes are the ranks, and the others wait for them.
void run(int count, const Wrap& wrap, const std::function<void(const Placement&)>& body) {
  int size = 0;
  int rank = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  ASSERT_LE(count, size) << "this test needs more processes";
  MPI_Comm some = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, rank < count ? 0 : MPI_UNDEFINED, rank, &some);
  std::exception_ptr error;
  if (some != MPI_COMM_NULL) {
    try {
      body(Placement(wrap(halnorm::mpi::communicator(some)), halnorm::DeviceType::CPU));
    } catch (...) {
      error = std::current_exception();
    }
    MPI_Comm_free(&some);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (error) {
    std::rethrow_exception(error);
  }
}

}  // namespace ranks
