#include "kernels/memory/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "halnorm/error.h"
#include "halnorm/memory.h"
#include "kernels/process.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

constexpr std::size_t huge_page = std::size_t{1} << 21;
constexpr std::size_t head = 64;  // a cache line in front of the returned memory

/// The header at the start of a mapping.
struct Block {
  Block* next;
  std::size_t bytes;  ///< the size of the mapping
  std::size_t bin;
};
static_assert(sizeof(Block) <= head);

// There are eight sizes from one power of two to the next, so that a block is at most an eighth
// larger than requested.
constexpr std::size_t steps = 8;
constexpr unsigned first_power = std::countr_zero(least_block);
constexpr std::size_t bin_count =
    steps * (std::size_t{std::numeric_limits<std::size_t>::digits} - first_power);

/// The cached blocks of one size.
struct Bin {
  Block* newest;
  std::uint64_t used;  ///< the number of the call that used the bin last
};

/// The cache is constant-initialized and never destroyed, because tensors may be destroyed while
/// the process ends. Memory is mapped without the mutex, because a mapping may take long.
struct Cache {
  ForkMutex mutex;
  std::array<Bin, bin_count> bins{};
  std::size_t kept = 0;
  std::size_t limit = default_cache_limit;
  std::uint64_t calls = 0;

  Block* pop(Bin& bin) noexcept {
    Block* const block = bin.newest;
    if (block != nullptr) {
      bin.newest = block->next;
      kept -= block->bytes;
    }
    return block;
  }

  /// Removes a block of the least recently used bin; null if the cache is empty.
  Block* pop_oldest() noexcept {
    Bin* oldest = nullptr;
    for (Bin& bin : bins) {
      if (bin.newest != nullptr && (oldest == nullptr || bin.used < oldest->used)) {
        oldest = &bin;
      }
    }
    return oldest == nullptr ? nullptr : pop(*oldest);
  }

  /// Removes blocks until at most `most` bytes are cached, and returns them as a list.
  Block* pop_beyond(std::size_t most) noexcept {
    Block* all = nullptr;
    while (kept > most) {
      Block* const block = pop_oldest();
      if (block == nullptr) {
        break;
      }
      block->next = std::exchange(all, block);
    }
    return all;
  }
};
constinit Cache cache;

struct Size {
  std::size_t bytes;
  std::size_t bin;
};

/// The size of a mapping for `bytes`, which are at most half of all addresses.
Size size_for(std::size_t bytes) noexcept {
  const std::size_t least = std::max(bytes, least_block);
  const std::size_t power = std::bit_floor(least);
  const std::size_t step = power / steps;
  const std::size_t count = (least - power + step - 1) / step;
  const auto row = static_cast<std::size_t>(std::countr_zero(power)) - first_power;
  return {power + count * step, row * steps + count};
}

/// Maps memory. A block that has a huge page starts at one.
void* map(std::size_t bytes) noexcept {
  const std::size_t more = bytes >= huge_page ? huge_page : 0;
  void* const mapped =
      mmap(nullptr, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  if (more == 0) {
    return mapped;
  }
  auto* const first = static_cast<std::byte*>(mapped);
  const std::size_t skipped =
      (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
  if (skipped > 0) {
    munmap(first, skipped);
  }
  munmap(first + skipped + bytes, more - skipped);
  madvise(first + skipped, bytes,
          MADV_HUGEPAGE);  // an error means that the system has no huge pages
  return first + skipped;
}

void unmap(Block* blocks) noexcept {
  while (blocks != nullptr) {
    Block* const block = std::exchange(blocks, blocks->next);
    munmap(block, block->bytes);
  }
}

/// Lets the system reclaim the block's huge pages until they are written again, except the first,
/// which has the header. Small pages are kept: the next write would take twice as long.
void lend_to_system(Block* block) noexcept {
  const std::size_t huge = block->bytes / huge_page * huge_page;
  if (huge > huge_page) {
    madvise(reinterpret_cast<std::byte*>(block) + huge_page, huge - huge_page, MADV_FREE);
  }
}

}  // namespace

void* take_block(std::size_t bytes) noexcept {
  if (bytes > std::numeric_limits<std::size_t>::max() / 2 - head) {
    return nullptr;
  }
  const Size size = size_for(bytes + head);
  Block* block = nullptr;
  {
    const std::scoped_lock lock(cache.mutex);
    Bin& bin = cache.bins[size.bin];
    bin.used = ++cache.calls;
    block = cache.pop(bin);
  }
  if (block == nullptr) {
    void* mapped = map(size.bytes);
    if (mapped == nullptr && drop_blocks()) {
      mapped = map(size.bytes);
    }
    if (mapped == nullptr) {
      return nullptr;
    }
    block = new (mapped) Block{nullptr, size.bytes, size.bin};
  }
  return reinterpret_cast<std::byte*>(block) + head;
}

void give_block(void* memory) noexcept {
  auto* const block = reinterpret_cast<Block*>(static_cast<std::byte*>(memory) - head);
  lend_to_system(block);
  Block* beyond = block;
  block->next = nullptr;
  {
    const std::scoped_lock lock(cache.mutex);
    if (block->bytes <= cache.limit) {
      Bin& bin = cache.bins[block->bin];
      bin.used = ++cache.calls;
      block->next = std::exchange(bin.newest, block);
      cache.kept += block->bytes;
      beyond = cache.pop_beyond(cache.limit);
    }
  }
  unmap(beyond);
}

bool drop_blocks() noexcept {
  Block* all = nullptr;
  {
    const std::scoped_lock lock(cache.mutex);
    all = cache.pop_beyond(0);
  }
  unmap(all);
  return all != nullptr;
}

void stop_keeping_blocks() noexcept {
  {
    const std::scoped_lock lock(cache.mutex);
    cache.limit = 0;
  }
  drop_blocks();
}

}  // namespace detail

void set_cache_limit(std::int64_t bytes) {
  if (bytes < 0) {
    throw ValueError("set_cache_limit: got " + std::to_string(bytes) + ", wanted at least 0");
  }
  detail::Block* beyond = nullptr;
  {
    const std::scoped_lock lock(detail::cache.mutex);
    detail::cache.limit = static_cast<std::size_t>(
        std::min<std::uint64_t>(static_cast<std::uint64_t>(bytes), SIZE_MAX));
    beyond = detail::cache.pop_beyond(detail::cache.limit);
  }
  detail::unmap(beyond);
}

std::int64_t cached_bytes() noexcept {
  const std::scoped_lock lock(detail::cache.mutex);
  return static_cast<std::int64_t>(detail::cache.kept);
}

}  // namespace halnorm::HALNORM_ABI
