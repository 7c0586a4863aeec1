#pragma once

#include <array>
#include <cstdint>

/// @file
/// Who runs which task of a parallel loop. Neighbouring tasks have neighbouring memory: given out
/// one by one to whichever thread is free, two cores would write into both ends of a cache line,
/// and the next loop over the same data would find it in another core's cache.

namespace halnorm::detail {

/// The tasks of a loop, a range of neighbours for each thread. A thread takes its own range's in
/// order, then what is left of the others' from their far ends.
class TaskRanges {
 public:
  /// `backwards`: from the last task to the first.
  TaskRanges(int count, int threads, bool backwards) noexcept;

  /// The next task for the calling thread; none is left where it is negative.
  [[nodiscard]] int take() noexcept;

 private:
  // More threads than this share ranges.
  static constexpr int most_ranges = 64;

  /// first and end in the halves of one word, so that both ends are taken from without a lock.
  struct alignas(64) Range {
    std::uint64_t ends;
  };

  [[nodiscard]] int own_range() const noexcept;
  static bool take_from(Range& range, bool last, int& task) noexcept;

  std::array<Range, most_ranges> ranges_;  ///< no more of them are touched than are used
  int used_;
  bool backwards_;
  unsigned caller_;
};

}  // namespace halnorm::detail
