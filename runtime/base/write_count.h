#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace halnorm::detail {

/// How often a block of memory was written through the API. It is at the head of the block, so that
/// it costs no allocation of its own.
class WriteCount {
 public:
  /// Not an atomic addition, which locks a cache line: threads that write at the same time may be
  /// counted once.
  void add() noexcept { count_.store(get() + 1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t get() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> count_{0};
};

/// A number that differs after every write to what a tensor shows.
using Version = std::uint64_t;

}  // namespace halnorm::detail
