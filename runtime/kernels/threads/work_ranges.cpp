#include "kernels/threads/work_ranges.h"

#include <algorithm>
#include <atomic>

namespace halnorm::HALNORM_ABI::detail {

namespace {

constexpr std::uint64_t pack(std::uint32_t first, std::uint32_t end) noexcept {
  return std::uint64_t{end} << 32U | first;
}

/// The number of the calling thread, in the order of first calls.
unsigned number_of_thread() noexcept {
  static std::atomic<unsigned> threads{0};
  thread_local const unsigned number = threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

TaskRanges::TaskRanges(int count, int threads, bool backwards) noexcept
    : used_(std::clamp(threads, 1, most_ranges)),
      backwards_(backwards),
      caller_(number_of_thread()) {
  const auto bound = [&](int i) {
    return static_cast<std::uint32_t>(std::int64_t{count} * i / used_);
  };
  for (int i = 0; i < used_; ++i) {
    ranges_[static_cast<std::size_t>(i)].ends = pack(bound(i), bound(i + 1));
  }
}

/// The thread that starts the loop always has the first range: in its next call it finds the same
/// data in its cache.
int TaskRanges::own_range() const noexcept {
  const unsigned number = number_of_thread();
  const auto others = static_cast<unsigned>(used_ - 1);
  return number == caller_ || others == 0 ? 0 : static_cast<int>(1 + number % others);
}

bool TaskRanges::take_from(Range& range, bool last, int& task) noexcept {
  const std::atomic_ref shared(range.ends);
  std::uint64_t ends = shared.load(std::memory_order_relaxed);
  while (true) {
    const auto first = static_cast<std::uint32_t>(ends);
    const auto end = static_cast<std::uint32_t>(ends >> 32U);
    if (first == end) {
      return false;
    }
    const std::uint64_t left = last ? pack(first, end - 1) : pack(first + 1, end);
    if (shared.compare_exchange_weak(ends, left, std::memory_order_relaxed)) {
      task = static_cast<int>(last ? end - 1 : first);
      return true;
    }
  }
}

/// Ranges only shrink, so that one round finds a task if any is left.
int TaskRanges::take() noexcept {
  const int own = own_range();
  int task = 0;
  if (take_from(ranges_[static_cast<std::size_t>(own)], backwards_, task)) {
    return task;
  }
  for (int i = 1; i < used_; ++i) {
    if (take_from(ranges_[static_cast<std::size_t>((own + i) % used_)], !backwards_, task)) {
      return task;
    }
  }
  return -1;
}

}  // namespace halnorm::HALNORM_ABI::detail
