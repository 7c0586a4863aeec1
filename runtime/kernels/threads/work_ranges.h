#pragma once

#include <array>
#include <cstdint>

#include "halnorm/version.h"

/// @file
/// The assignment of a loop's tasks to threads. Neighbouring tasks have neighbouring memory. If any
/// free thread took the next task, two cores would write to the same cache line, and the next loop
/// over the same data would find the data in another core's cache.

namespace halnorm::HALNORM_ABI::detail {

/// The tasks of a loop, with a range of neighbouring tasks for each thread. A thread runs its own
/// range in order, and then takes tasks of other ranges from their far ends.
class TaskRanges {
 public:
  /// With `backwards`, each thread runs its range from the last task to the first.
  TaskRanges(int count, int threads, bool backwards) noexcept;

  /// The next task for the calling thread; negative if none is left.
  [[nodiscard]] int take() noexcept;

 private:
  // If there are more threads, they share ranges.
  static constexpr int most_ranges = 64;

  /// The first task and the end, in the halves of one word, so that threads take tasks from both
  /// ends without a lock.
  struct alignas(64) Range {
    std::uint64_t ends;
  };

  [[nodiscard]] int own_range() const noexcept;
  static bool take_from(Range& range, bool last, int& task) noexcept;

  std::array<Range, most_ranges> ranges_;  ///< only the first `used_` are initialized
  int used_;
  bool backwards_;
  unsigned caller_;
};

}  // namespace halnorm::HALNORM_ABI::detail
