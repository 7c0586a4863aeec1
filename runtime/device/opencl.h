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

/// Puts `count` times a value of `size` bytes there, likewise. @throws DeviceError likewise.
void fill_in_queue(const char* what, ClPart to, const void* value, std::size_t size,
                   std::size_t count);

}  // namespace halnorm::detail
