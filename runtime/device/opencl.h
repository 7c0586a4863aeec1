#pragma once

#include <HalideRuntime.h>

#include <cstddef>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// A part of a buffer on an OpenCL device; in bytes.
struct ClPart {
  halide_buffer_t buffer;
  std::size_t first;
};

/// Enqueues a copy in Halide's in-order queue, without waiting; Halide's own copies wait for the
/// queue.
/// @throws DeviceError that names `what`, if the driver reports an error.
void copy_in_queue(const char* what, ClPart to, ClPart from, std::size_t bytes);

/// Enqueues a fill with `count` values of `size` bytes. @throws as copy_in_queue().
void fill_in_queue(const char* what, ClPart to, const void* value, std::size_t size,
                   std::size_t count);

}  // namespace halnorm::HALNORM_ABI::detail
