#include "device/opencl.h"

/// @file
/// A build without opencl. It has no tensor on an OpenCL device, and so calls none of these.

namespace halnorm::HALNORM_ABI::detail {

void copy_in_queue(const char* /*what*/, ClPart /*to*/, ClPart /*from*/, std::size_t /*bytes*/) {}

void fill_in_queue(const char* /*what*/, ClPart /*to*/, const void* /*value*/, std::size_t /*size*/,
                   std::size_t /*count*/) {}

}  // namespace halnorm::HALNORM_ABI::detail
