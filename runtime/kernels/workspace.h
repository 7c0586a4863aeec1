#pragma once

#include <cstddef>
#include <memory>

/// @file
/// Memory for the time of a call: blocks that a thread gives back are kept, up to a limit, for its
/// next call, which then allocates nothing.

namespace halnorm::detail {

/// At least so many bytes, aligned for any vector; null if there is no memory.
void* take_memory(std::size_t bytes) noexcept;

/// Gives back what take_memory() returned, or null.
void give_memory(void* memory) noexcept;

/// Threads keep blocks from when the library is loaded until it is unloaded. Those of a thread that
/// lives on after that stay allocated.
void start_keeping_memory() noexcept;
void stop_keeping_memory() noexcept;

struct GivesBack {
  void operator()(void* memory) const noexcept { give_memory(memory); }
};
using LentMemory = std::unique_ptr<void, GivesBack>;

/// Memory that goes back by itself.
/// @throws std::bad_alloc
LentMemory lend_memory(std::size_t bytes);

/// Kernels take their temporary memory from here, unless the host has set a halide_malloc.
void lend_memory_to_kernels() noexcept;

}  // namespace halnorm::detail
