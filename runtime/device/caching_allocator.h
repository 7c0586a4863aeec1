#pragma once

#include <HalideRuntime.h>

#include <cstdint>

#include "device/cuda.h"
#include "halnorm/device.h"

/// @file
/// Caching allocator for device memory, keyed by device, context, stream and size. It saves the
/// driver's allocations, which wait for the device. Halide's cache has only 32 blocks, and a
/// network in training has hundreds. The cache holds at most 64 MB, or twice the largest use.

namespace halnorm::HALNORM_ABI::detail {

/// A block of device memory with the context and stream of the calls that used it. Only in the same
/// stream is a later use ordered after the earlier ones.
struct DeviceBlock {
  DeviceType type;
  std::int64_t bytes;
  Guarded made_under;
  int releases = 0;          ///< calls of cuda::release() for the context before the allocation
  std::uint64_t handle = 0;  ///< Halide's handle
};

/// Rounds a size up, so that similar sizes share cached blocks.
std::int64_t cached_size(std::int64_t bytes) noexcept;

/// Allocates a block and sets its handle. Returns 0 or Halide's error code.
int allocate_device_block(DeviceBlock& block);

/// Caches a freed block, or drops it if its context was released since the allocation.
void cache_device_block(const DeviceBlock& block) noexcept;

/// Frees the cached blocks of a CUcontext. To be called under a guard of the context.
void free_cached_blocks(const void* context);

}  // namespace halnorm::HALNORM_ABI::detail
