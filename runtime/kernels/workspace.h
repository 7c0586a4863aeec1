#pragma once

#include <cstddef>
#include <memory>

/// @file
/// The workspace of a call. Each thread keeps the blocks that it frees, up to a limit, so that its
/// next call allocates nothing.

namespace halnorm::detail {

/// A block of at least this size, aligned for any vector; null if memory runs out.
void* take_memory(std::size_t bytes) noexcept;

/// Frees a block of take_memory(); the argument may be null.
void give_memory(void* memory) noexcept;

/// Threads keep blocks until the library is unloaded. Blocks of a thread that exists longer stay
/// allocated.
void start_keeping_memory() noexcept;
void stop_keeping_memory() noexcept;

struct GivesBack {
  void operator()(void* memory) const noexcept { give_memory(memory); }
};
using LentMemory = std::unique_ptr<void, GivesBack>;

/// A block that is freed by its destructor.
/// @throws std::bad_alloc
LentMemory lend_memory(std::size_t bytes);

/// Makes kernels take their workspace from here, unless a halide_malloc was set.
void lend_memory_to_kernels() noexcept;

}  // namespace halnorm::detail
