#pragma once

#include <cstddef>
#include <cstdint>

/// @file
/// The memory that the library keeps for later tensors. docs/embedding.md says how much a process
/// has at rest.

#pragma GCC visibility push(default)

namespace halnorm {

/// For set_cache_limit(): 512 MB, or 64 MB where addresses have 32 bits.
inline constexpr std::int64_t default_cache_limit = std::int64_t{1}
                                                    << (sizeof(std::size_t) > 4 ? 29 : 26);

/// Bytes of host memory that are kept when tensors end, for those that come next: the system clears
/// new memory page by page, which takes several times as long as to normalize it. Blocks of 1 MB
/// and more are kept; smaller ones are the allocator's. What is above the limit is given back at
/// once, the longest unused first; 0 keeps nothing. Where a system runs out of memory it takes
/// kept blocks of 2 MB and more by itself. Affects all threads.
/// @throws ValueError if negative.
void set_cache_limit(std::int64_t bytes);

/// Bytes of host memory that are kept now.
std::int64_t cached_bytes() noexcept;

/// Gives back all that is kept, of devices too; tensors are not touched.
void empty_cache() noexcept;

}  // namespace halnorm

#pragma GCC visibility pop
