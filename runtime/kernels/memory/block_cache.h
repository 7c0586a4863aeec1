#pragma once

#include <cstddef>

#include "halnorm/version.h"

/// @file
/// Memory of large tensors. Freed blocks are cached for tensors of about the same size
/// (halnorm/memory.h).

namespace halnorm::HALNORM_ABI::detail {

/// Smaller blocks come from the allocator. For larger ones the C library may return freed memory to
/// the system, and new pages are slow: docs/embedding.md, *Memory at rest*.
inline constexpr std::size_t least_block = std::size_t{1} << 17;

/// At least `bytes` bytes, aligned to a cache line. Null if memory runs out, even after all cached
/// blocks were returned to the system.
void* take_block(std::size_t bytes) noexcept;

/// Caches a block of take_block(), or returns it to the system.
void give_block(void* memory) noexcept;

/// A deleter. It is a class, because std::unique_ptr with a function pointer would export a name
/// from a shared object that contains the library.
struct GivesBlock {
  void operator()(void* memory) const noexcept { give_block(memory); }
};

/// Returns all cached blocks to the system; false if there were none.
bool drop_blocks() noexcept;

/// Empties the cache for good, when the library is unloaded or the process ends.
void stop_keeping_blocks() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
