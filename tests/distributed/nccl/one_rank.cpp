#include <cmath>
#include <cstdio>

#include "halnorm/nccl.h"

/// @file
/// Exchanges of one rank on a GPU. Exits with 77 without a GPU.

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU\n");
    return 77;
  }
  ncclComm_t comm = nullptr;
  const int device = 0;
  cudaStream_t stream = nullptr;
  if (ncclCommInitAll(&comm, 1, &device) != ncclSuccess ||
      cudaStreamCreate(&stream) != cudaSuccess) {
    std::printf("no comm of one GPU\n");
    return 1;
  }
  double distance = 0;
  {
    const auto world = halnorm::nccl::communicator(comm, stream);
    // A placement of one rank exchanges nothing, so NCCL is called here.
    const double mine = 3;
    double all = 0;
    world->all_gather(&mine, &all, sizeof mine);
    distance = std::abs(all - mine);
    all = 4;
    world->broadcast(&all, sizeof all);
    distance += std::abs(all - 4);
  }
  cudaStreamDestroy(stream);
  ncclCommDestroy(comm);
  std::printf("distance %g\n", distance);
  return distance == 0 ? 0 : 1;
}
