#pragma once

#include <HalideRuntime.h>

#include <cstdint>

#include "device/cuda.h"
#include "halnorm/device.h"

/// @file
/// Memory on devices that nobody has any more, kept for whoever asks next for as much of it:
/// drivers wait for the device where they allocate and free. Halide keeps 32 pieces, and a network
/// in training has hundreds. No more is kept than 64 MB, or twice what was in use at a time.

namespace halnorm::detail {

/// A piece of memory on a device, and where calls that use it went: there alone does the next one
/// come after them.
struct Piece {
  DeviceType type;
  std::int64_t bytes;
  Guarded made_under;
  int releases = 0;          ///< of the context, by cuda::release(), before it was made
  std::uint64_t handle = 0;  ///< as Halide knows it
};

/// So many bytes, or somewhat more, so that sizes that differ little use each other's memory.
std::int64_t spare_size(std::int64_t bytes) noexcept;

/// Fills in the handle. Returns 0, or Halide's error code.
int take_piece(Piece& piece);

/// Keeps it for the next one, or lets it go with its context if that was released since.
void keep_piece(const Piece& piece) noexcept;

/// Gives back what is kept in a CUcontext; called under a guard of it.
void release_pieces(const void* context);

}  // namespace halnorm::detail
