#include <gtest/gtest.h>
#include <mpi.h>

#include "halnorm/kernels.h"

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  halnorm::set_num_threads(1);  // there are more ranks than cores
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  MPI_Finalize();
  return failed;
}
