#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// Counts the writes to a block of memory through the API. The counter is at the start of the
/// block, so that it needs no allocation.
class WriteCount {
 public:
  /// Not an atomic addition, which would lock a cache line: writes of several threads at the same
  /// time may count as one.
  void add() noexcept { count_.store(get() + 1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t get() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> count_{0};
};

/// A number that changes with every write to a tensor, and with every set_data().
using Version = std::uint64_t;

}  // namespace halnorm::HALNORM_ABI::detail
