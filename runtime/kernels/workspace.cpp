#include "kernels/workspace.h"

#include <HalideRuntime.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "kernels/block_cache.h"

namespace halnorm::detail {

namespace {

// Halide wants a multiple of the widest vector, and room to read 8 bytes before and after.
constexpr std::size_t alignment = 128;
// Blocks come in powers of two, from a size that is not worth telling apart.
constexpr unsigned smallest_class = 9;
constexpr unsigned classes = 24;
// What a thread keeps: the sums of all blocks of the largest batches, and little next to those.
constexpr std::size_t most_kept = std::size_t{8} << 20;

/// Lies before the memory that is handed out.
struct Block {
  Block* next;
  void* allocated;
  unsigned size_class;
};
static_assert(sizeof(Block) + 8 <= alignment);

constexpr std::size_t bytes_of(unsigned size_class) { return std::size_t{1} << size_class; }

/// The blocks that a thread keeps. Needs no destructor, so that it can be asked at any time, also
/// while the thread ends.
struct Kept {
  std::array<Block*, classes> first{};
  std::size_t bytes = 0;
  bool is_watched = false;  ///< the blocks are freed when the thread ends
};
thread_local constinit Kept kept;

void free_block(Block* block) noexcept { ::operator delete(block->allocated); }

void free_kept() noexcept {
  kept.bytes = most_kept;  // and nothing more is kept
  for (Block*& first : kept.first) {
    while (first != nullptr) {
      free_block(std::exchange(first, first->next));
    }
  }
}

// By a key, and not by a thread_local's destructor: where there is no memory to register one, the
// process is aborted.
constinit pthread_key_t thread_ends{};
constinit std::atomic<bool> threads_are_watched{false};

/// Has the thread free what it keeps when it ends. False if there is no memory even for that.
bool watch_thread() noexcept {
  return threads_are_watched.load(std::memory_order_acquire) &&
         pthread_setspecific(thread_ends, &kept) == 0;
}

Block* new_block(std::size_t bytes, unsigned size_class) noexcept {
  if (bytes > SIZE_MAX - 3 * alignment) {
    return nullptr;
  }
  // Its header, and alignment on both sides.
  std::size_t space = bytes + 3 * alignment;
  void* allocated = ::operator new(space, std::nothrow);
  if (allocated == nullptr && drop_blocks()) {
    allocated = ::operator new(space, std::nothrow);
  }
  if (allocated == nullptr) {
    return nullptr;
  }
  void* at = allocated;
  std::align(alignment, bytes + 2 * alignment, at, space);
  return new (at) Block{nullptr, allocated, size_class};
}

}  // namespace

void* take_memory(std::size_t bytes) noexcept {
  const auto bits = static_cast<unsigned>(std::bit_width(bytes == 0 ? 0 : bytes - 1));
  const unsigned size_class = bits < smallest_class ? smallest_class : bits;
  const bool may_be_kept = size_class < classes;
  Block* block = may_be_kept ? kept.first[size_class] : nullptr;
  if (block != nullptr) {
    kept.first[size_class] = block->next;
    kept.bytes -= bytes_of(size_class);
  } else {
    block = new_block(may_be_kept ? bytes_of(size_class) : bytes, size_class);
  }
  return block == nullptr ? nullptr : reinterpret_cast<std::byte*>(block) + alignment;
}

void give_memory(void* memory) noexcept {
  if (memory == nullptr) {
    return;
  }
  auto* block = reinterpret_cast<Block*>(static_cast<std::byte*>(memory) - alignment);
  const unsigned size_class = block->size_class;
  if (size_class >= classes || kept.bytes + bytes_of(size_class) > most_kept) {
    free_block(block);
    return;
  }
  if (!kept.is_watched) {
    kept.is_watched = watch_thread();
    if (!kept.is_watched) {
      free_block(block);
      return;
    }
  }
  block->next = std::exchange(kept.first[size_class], block);
  kept.bytes += bytes_of(size_class);
}

void start_keeping_memory() noexcept {
  threads_are_watched = pthread_key_create(&thread_ends, [](void* /*kept*/) { free_kept(); }) == 0;
}

void stop_keeping_memory() noexcept {
  if (threads_are_watched.exchange(false)) {
    pthread_key_delete(thread_ends);
  }
  free_kept();
}

LentMemory lend_memory(std::size_t bytes) {
  LentMemory memory(take_memory(bytes));
  if (!memory) {
    throw std::bad_alloc();
  }
  return memory;
}

void lend_memory_to_kernels() noexcept {
  const halide_malloc_t before = halide_set_custom_malloc(
      [](void* /*context*/, std::size_t bytes) { return take_memory(bytes); });
  if (before != &halide_default_malloc) {
    halide_set_custom_malloc(before);
    return;
  }
  halide_set_custom_free([](void* /*context*/, void* memory) { give_memory(memory); });
}

}  // namespace halnorm::detail
