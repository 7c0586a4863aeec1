#pragma once

#include <cstddef>
#include <cstdint>

#include "halnorm/version.h"

/// @file
/// The cache of host memory for tensors. docs/embedding.md lists the memory of a process at rest.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// The default of set_cache_limit(): 512 MB, or 64 MB with 32-bit addresses.
inline constexpr std::int64_t default_cache_limit = std::int64_t{1}
                                                    << (sizeof(std::size_t) > 4 ? 29 : 26);

/// Sets how many bytes of host memory are cached when tensors are freed, for later tensors. The
/// system clears new memory page by page, which takes several times as long as to normalize it.
/// Blocks of 128 KB and more are cached; smaller ones are their threads'. Blocks above the limit
/// are freed at once, the longest unused first; with 0 nothing is cached. If the system runs out of
/// memory, it can take cached blocks of 4 MB and more. Affects all threads.
/// @throws ValueError if negative.
void set_cache_limit(std::int64_t bytes);

/// The bytes of host memory that are cached now.
std::int64_t cached_bytes() noexcept;

/// Frees all cached memory, on devices too, and what the calling thread keeps of smaller blocks.
/// Tensors are not affected.
void empty_cache() noexcept;

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
