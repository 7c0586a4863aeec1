#pragma once

#include <cstddef>

/// @file
/// Memory of large tensors, which the next ones of about the same size get: halnorm/memory.h.

namespace halnorm::detail {

/// Smaller blocks are the allocator's. From here on the C library may give freed memory back to the
/// system: two outputs of 512 KB that were new in each call took a fused backward 404 us, kept 51.
inline constexpr std::size_t least_block = std::size_t{1} << 17;

/// At least so many bytes, aligned to a cache line; null if there is no memory, although all that
/// was kept has been given back.
void* take_block(std::size_t bytes) noexcept;

/// Keeps what take_block() returned, or gives it back to the system.
void give_block(void* memory) noexcept;

/// A deleter whose type is named by halnorm alone: a function's would be a name that a shared
/// object made of the library exports.
struct GivesBlock {
  void operator()(void* memory) const noexcept { give_block(memory); }
};

/// Gives back what is kept; false if that was nothing.
bool drop_blocks() noexcept;

/// When the library is unloaded, or the process ends: no more is kept.
void stop_keeping_blocks() noexcept;

}  // namespace halnorm::detail
