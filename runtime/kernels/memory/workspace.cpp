#include "kernels/memory/workspace.h"

#include <HalideRuntime.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "kernels/memory/block_cache.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// Halide requires a multiple of the widest vector, and reads up to 8 bytes before and after a
// block.
constexpr std::size_t alignment = 128;
// There are four sizes from one power of two to the next. Smaller blocks than least_bytes have one.
constexpr std::size_t step_bits = 2;
constexpr std::size_t least_bytes = 512;
constexpr std::size_t least_power = std::countr_zero(least_bytes);
// A thread keeps at most this: the partial sums of the largest batches need most of it.
constexpr std::size_t most_kept = std::size_t{8} << 20;
constexpr unsigned most_objects = 64;
constexpr std::size_t classes = ((std::countr_zero(most_kept) - least_power) << step_bits) + 1;

/// The header in front of the returned memory.
struct Block {
  Block* next;
  void* allocated;
  std::size_t bytes;
  std::size_t size_class;
};
static_assert(sizeof(Block) + 8 <= alignment);

struct Size {
  std::size_t bytes;  ///< at most a quarter more than requested
  std::size_t size_class;
};

/// Larger blocks than most_kept have classes from `classes` on, which are not kept.
Size size_for(std::size_t bytes) noexcept {
  const std::size_t least = std::max(bytes, least_bytes);
  const auto power = static_cast<std::size_t>(std::bit_width(least)) - 1;
  const std::size_t shift = power - step_bits;
  const std::size_t count =
      (least - (std::size_t{1} << power) + (std::size_t{1} << shift) - 1) >> shift;
  return {(std::size_t{1} << power) + (count << shift),
          ((power - least_power) << step_bits) + count};
}

/// The blocks that a thread keeps. Kept has no destructor, so that the thread can use it at any
/// time, also while the thread ends.
struct Kept {
  std::array<Block*, classes> first{};
  std::size_t bytes = 0;
  KeptObject* objects = nullptr;
  unsigned object_count = 0;
  bool is_watched = false;  ///< the blocks are freed when the thread ends
  bool has_ended = false;   ///< the thread ends and keeps no more blocks
};
thread_local constinit Kept kept;

void free_block(Block* block) noexcept { ::operator delete(block->allocated); }

void free_kept() noexcept {
  for (Block*& first : kept.first) {
    while (first != nullptr) {
      free_block(std::exchange(first, first->next));
    }
  }
  kept.bytes = 0;
}

/// Frees the blocks at the thread's end; the thread keeps no more.
void stop_keeping() noexcept {
  kept.has_ended = true;
  free_kept_memory();
}

// A pthread key frees the blocks. The destructor of a thread_local could abort the process: its
// registration needs memory.
constinit pthread_key_t thread_ends{};
constinit std::atomic<bool> threads_are_watched{false};

/// Registers the thread, so that it frees its blocks when it ends. False if memory runs out.
bool watch_thread() noexcept {
  return threads_are_watched.load(std::memory_order_acquire) &&
         pthread_setspecific(thread_ends, &kept) == 0;
}

bool is_watched() noexcept {
  if (!kept.is_watched) {
    kept.is_watched = watch_thread();
  }
  return kept.is_watched;
}

Block* new_block(const Size& size) noexcept {
  if (size.bytes > SIZE_MAX - 3 * alignment) {
    return nullptr;
  }
  // The block needs space for its header and for alignment on both sides.
  std::size_t space = size.bytes + 3 * alignment;
  void* allocated = ::operator new(space, std::nothrow);
  if (allocated == nullptr && drop_blocks()) {
    allocated = ::operator new(space, std::nothrow);
  }
  if (allocated == nullptr) {
    return nullptr;
  }
  void* at = allocated;
  std::align(alignment, size.bytes + 2 * alignment, at, space);
  return new (at) Block{nullptr, allocated, size.bytes, size.size_class};
}

/// Whether the thread can keep the block. If the limit is reached, all kept blocks are freed, so
/// that sizes which are no longer used do not stay.
bool can_keep(const Block& block) noexcept {
  if (block.size_class >= classes || kept.has_ended) {
    return false;
  }
  if (kept.bytes + block.bytes > most_kept) {
    free_kept();
  }
  return is_watched();
}

}  // namespace

void* take_memory(std::size_t bytes) noexcept {
  const Size size = size_for(bytes);
  Block* block = size.size_class < classes ? kept.first[size.size_class] : nullptr;
  if (block != nullptr) {
    kept.first[size.size_class] = block->next;
    kept.bytes -= block->bytes;
  } else {
    block = new_block(size.size_class < classes ? size : Size{bytes, size.size_class});
  }
  return block == nullptr ? nullptr : reinterpret_cast<std::byte*>(block) + alignment;
}

void give_memory(void* memory) noexcept {
  if (memory == nullptr) {
    return;
  }
  auto* block = reinterpret_cast<Block*>(static_cast<std::byte*>(memory) - alignment);
  if (!can_keep(*block)) {
    free_block(block);
    return;
  }
  block->next = std::exchange(kept.first[block->size_class], block);
  kept.bytes += block->bytes;
}

KeptObject* take_object() noexcept {
  KeptObject* const object = kept.objects;
  if (object != nullptr) {
    kept.objects = object->next;
    --kept.object_count;
  }
  return object;
}

void keep_object(KeptObject* object) noexcept {
  if (kept.object_count == most_objects || kept.has_ended || !is_watched()) {
    object->destroy(object);
    return;
  }
  object->next = std::exchange(kept.objects, object);
  ++kept.object_count;
}

void start_keeping_memory() noexcept {
  threads_are_watched =
      pthread_key_create(&thread_ends, [](void* /*kept*/) { stop_keeping(); }) == 0;
}

void stop_keeping_memory() noexcept {
  if (threads_are_watched.exchange(false)) {
    pthread_key_delete(thread_ends);
  }
  stop_keeping();
}

void free_kept_memory() noexcept {
  free_kept();
  while (KeptObject* const object = take_object()) {
    object->destroy(object);
  }
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

}  // namespace halnorm::HALNORM_ABI::detail
