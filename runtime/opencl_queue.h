#pragma once

#include <HalideRuntime.h>

#include <cstddef>

namespace halnorm::detail {

/// A part of a buffer on an OpenCL device; in bytes.
struct ClPart {
  halide_buffer_t buffer;
  std::size_t first;
};

/// Halide's own copies wait for all that is in its queue, which has an order. This one is put into
/// the queue, and nothing waits.
/// @throws DeviceError, named after `what`, if the driver refuses.
void copy_in_queue(const char* what, ClPart to, ClPart from, std::size_t bytes);

}  // namespace halnorm::detail
