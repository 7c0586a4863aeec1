#include "base/address_range.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <map>
#include <mutex>

namespace halnorm::HALNORM_ABI::detail {

namespace {

struct Range {
  std::byte* first = nullptr;
  std::uintptr_t bytes = 0;
};

struct Ranges {
  std::mutex mutex;
  std::map<void*, Range> of_handle;
};

/// Never destroyed: other destructors may make tensors.
Ranges& ranges() {
  static Ranges& all = *new Ranges;
  return all;
}

}  // namespace

std::byte* next_range(std::uintptr_t bytes) {
  static std::atomic<std::uintptr_t> next{std::numeric_limits<std::uintptr_t>::max() / 2 + 1};
  constexpr std::uintptr_t step = 4096;
  return std::bit_cast<std::byte*>(next.fetch_add((bytes / step + 1) * step));
}

std::byte* range_of(void* handle, std::uintptr_t bytes) {
  constexpr int bits = sizeof(void*) == 8 ? 34 : 20;
  const std::scoped_lock lock(ranges().mutex);
  Range& range = ranges().of_handle[handle];
  if (range.bytes < bytes || range.first == nullptr) {
    range.bytes = std::max(bytes, std::uintptr_t{1} << bits);
    range.first = next_range(range.bytes);
  }
  return range.first;
}

}  // namespace halnorm::HALNORM_ABI::detail
