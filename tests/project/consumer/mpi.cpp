#include <halnorm/mpi.h>

// A communicator of this process alone, which needs no mpirun.
int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  const int size = halnorm::mpi::communicator(MPI_COMM_WORLD)->size();
  MPI_Finalize();
  return size == 1 ? 0 : 1;
}
