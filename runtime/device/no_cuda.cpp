#include "device/cuda_driver.h"
#include "halnorm/error.h"

/// @file
/// A build without cuda. It has no tensor on a CUDA device, and so calls install() alone.

namespace halnorm::HALNORM_ABI::cuda {

void copy(const char* /*what*/, void* /*to*/, const void* /*from*/, std::size_t /*bytes*/) {}

void fill(const char* /*what*/, const void* /*to*/, const void* /*value*/, std::size_t /*size*/,
          std::size_t /*count*/) {}

void wait(const char* /*what*/) {}

void free(std::uint64_t /*address*/) {}

void install() {
  throw DeviceError("StreamGuard: this build has no kernels for cuda; see docs/targets.md");
}

void give_back(const char* /*what*/) {}

}  // namespace halnorm::HALNORM_ABI::cuda
