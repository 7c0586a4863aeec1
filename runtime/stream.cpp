#include "stream.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <string>

#include "halnorm/error.h"
#include "halnorm/kernels.h"

namespace halnorm {

namespace detail {

namespace {

constexpr std::int64_t never = std::int64_t{1} << 62;

std::atomic<std::int64_t> threshold{default_streaming_threshold};

/// The widest vector, which such a kernel's rows start at.
constexpr std::int64_t alignment = 64;

bool starts_at_vectors(const View& v) noexcept {
  const auto size = static_cast<std::int64_t>(size_of(v.dtype));
  const auto is_multiple = [&](std::int64_t extent, std::int64_t stride) {
    return extent == 1 || stride * size % alignment == 0;
  };
  return std::bit_cast<std::uintptr_t>(v.data) % alignment == 0 && is_multiple(v.N, v.stride_n) &&
         (v.layout == Layout::nlc || is_multiple(v.C, v.stride_c));
}

}  // namespace

bool should_stream(const View& out, std::initializer_list<const View*> views) {
  if (out.memory != nullptr) {
    return false;
  }
  std::int64_t bytes = 0;
  for (const View* v : views) {
    bytes += v->bytes();
  }
  if (bytes <= threshold.load(std::memory_order_relaxed) || !starts_at_vectors(out)) {
    return false;
  }
  // What overwrites its own input finds its lines in cache.
  const bool in_place = std::any_of(
      views.begin(), views.end(), [&](const View* v) { return v != &out && v->data == out.data; });
  return !in_place && has_kernel(Operation::batch_norm_elemt_stream, out.layout,
                                 element_of(out.dtype), DeviceType::CPU);
}

Operation form_of(Operation operation, bool streams) noexcept {
  if (!streams) {
    return operation;
  }
  switch (operation) {
    case Operation::batch_norm_train:
      return Operation::batch_norm_train_stream;
    case Operation::batch_norm_backward:
      return Operation::batch_norm_backward_stream;
    case Operation::batch_norm_backward_elemt:
      return Operation::batch_norm_backward_elemt_stream;
    case Operation::batch_norm_elemt:
      return Operation::batch_norm_elemt_stream;
    default:
      return operation;
  }
}

/// The threads of a pool count their tasks by locked instructions, which wait for such stores; the
/// caller's own wait here.
void finish_streaming() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace detail

void set_streaming_threshold(std::int64_t bytes) {
  if (bytes < 0) {
    throw ValueError("set_streaming_threshold: got " + std::to_string(bytes) +
                     ", wanted at least 0 bytes");
  }
  detail::threshold.store(bytes == 0 ? detail::never : bytes, std::memory_order_relaxed);
}

}  // namespace halnorm
