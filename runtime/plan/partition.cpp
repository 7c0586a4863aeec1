#include "plan/partition.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// In NCL a task is a group of channels. With fewer channels, a thread may find no task.
constexpr std::int64_t enough_channels = 8;
constexpr std::int64_t box_elements = 1 << 16;

}  // namespace

bool should_split(const View& x) noexcept {
  return x.memory == nullptr && x.layout == Layout::ncl && x.C < enough_channels &&
         x.numel() >= 2 * box_elements;
}

Boxes split_boxes(const View& x) { return {x, box_elements}; }

double count_before(const View& x, const Box& b) noexcept {
  return static_cast<double>(b.first_n) * static_cast<double>(x.L) +
         static_cast<double>(b.first_l) * static_cast<double>(b.n);
}

}  // namespace halnorm::HALNORM_ABI::detail
