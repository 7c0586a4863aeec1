#pragma once

#include <cstddef>
#include <memory>

#include "halnorm/version.h"

/// @file
/// The workspace of a call, and the memory of small tensors. Each thread keeps the blocks that it
/// frees, up to a limit, so that its next call allocates nothing.

namespace halnorm::HALNORM_ABI::detail {

/// A block of at least this size, aligned for any vector; null if memory runs out.
void* take_memory(std::size_t bytes) noexcept;

/// Frees a block of take_memory(); the argument may be null.
void give_memory(void* memory) noexcept;

/// An object that a thread keeps for its next call.
struct KeptObject {
  KeptObject* next = nullptr;
  void (*destroy)(KeptObject*) noexcept = nullptr;
};

/// The object that this thread kept last; null if there is none. All are of one type.
KeptObject* take_object() noexcept;

/// Keeps the object, or destroys it.
void keep_object(KeptObject* object) noexcept;

/// Frees the blocks and objects that this thread keeps.
void free_kept_memory() noexcept;

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

/// The same for the C++ library.
template <class T>
struct WorkspaceAllocator {
  using value_type = T;

  WorkspaceAllocator() noexcept = default;
  template <class U>
  explicit WorkspaceAllocator(const WorkspaceAllocator<U>& /*other*/) noexcept {}

  /// @throws std::bad_alloc
  T* allocate(std::size_t count) {
    return static_cast<T*>(lend_memory(count * sizeof(T)).release());
  }
  void deallocate(T* memory, std::size_t /*count*/) noexcept { give_memory(memory); }

  template <class U>
  bool operator==(const WorkspaceAllocator<U>& /*other*/) const noexcept {
    return true;
  }
};

/// Makes kernels take their workspace from here, unless a halide_malloc was set.
void lend_memory_to_kernels() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
