#include "plan/nontemporal.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

#include "plan/variant.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// The rows, in bytes, from which non-temporal stores gain although a row's first and last line are
// written with masks; a row that starts at a line has fewer masks. AVX2 has none for elements of
// two bytes, so that these are written one after the other, and slow ones for others. Share of the
// time with ordinary stores, NCL, 160 MB, an Intel Xeon, 1 thread:
//
//   rows of        | float32 400 B | 628 B | bfloat16 from a line, 128 B | float16 450 B | 598 B
//   training       | 0.88          | 0.83  | 0.77                        | 1.07          | 0.93
//   inference      | 0.85          | 0.66  | 0.88                        | 0.97          | 0.86
//
// With AVX2 inference on bfloat16 took 1.24 of the time with rows of 802 B, and 0.89 with 1402 B;
// on float32, with 1 and 2 threads, 1.25 and 1.07 with rows of 628 B, 1.12 and 1.18 with 1196 B,
// and 1.04 and 0.91 with 2044 B (a Zen 3).
//
// Rows of one line gain if they are only written: (64, 65536, 16) took 0.78 in inference and 0.73
// in backward_elemt. In a kernel with sums, whose task reads them twice, backward took 1.2 of the
// time (an Intel Xeon, 1 thread).
constexpr std::int64_t long_row = 384;
constexpr std::int64_t long_narrow_row = 576;
constexpr std::int64_t long_row_in_parts = 2048;
constexpr std::int64_t long_row_from_line = 64;
constexpr std::int64_t long_row_with_sums = 128;

/// `in_lines`: vectors are cache lines.
std::int64_t least_row(std::size_t size, bool from_line, bool in_lines) noexcept {
  if (from_line) {
    return long_row_from_line;
  }
  if (!in_lines) {
    return long_row_in_parts;
  }
  return size > 2 ? long_row : long_narrow_row;
}

// Eight rows are added up at a time, which are streams if they are on pages of their own. They are
// at a distance, except rows of two tensors in vectors of whole lines with more channels than this
// (generators/schedule/cpu/x86.cpp). So are neighbouring rows of a page.
constexpr std::int64_t channels_apart = 160;
constexpr std::int64_t page = 4096;

/// Whether the CPU follows the rows of such data, NLC, by itself. With prefetches sums took, on a
/// Zen 3 with 1 and 2 threads, 1.36 and 1.49 times as long for moments of (160000, 256), 1.33
/// and 1.42 for both sums of backward on (64, 64, 1250) and 1.3 and 1.7 on (8000, 1024).
bool follows_rows(const Machine& machine, const Kernel& sums, const Views& data) noexcept {
  const View& x = data.x();
  const bool apart = data.begin() + 1 == data.end() || sums.vector_bytes < line_bytes ||
                     x.C <= channels_apart ||
                     x.C * static_cast<std::int64_t>(size_of(x.dtype)) >= page;
  return machine.follows_rows && x.layout == Layout::nlc && apart;
}

const Kernel* find_variant(const Machine& machine, const Rows& nontemporal, const View& v) {
  return nontemporal.find(machine.target, v.layout, element_of(v.dtype));
}

/// Whether there is a kernel with non-temporal stores that gains on such rows of an output.
bool rows_are_long(const Machine& machine, const View& v) noexcept {
  const Kernel* kernel = find_variant(machine, rows::batch_norm_elemt_nontemporal, v);
  if (kernel == nullptr) {
    return false;
  }
  const auto size = static_cast<std::int64_t>(size_of(v.dtype));
  const auto at_lines = [size](std::int64_t stride) { return stride * size % line_bytes == 0; };
  const bool channels = v.layout == Layout::nlc;
  const bool from_line = at_lines(v.stride_n) && (channels || at_lines(v.stride_c));
  const bool in_lines = kernel->vector_bytes == line_bytes;
  return size * (channels ? v.C : v.L) >= least_row(size_of(v.dtype), from_line, in_lines);
}

// Bytes of a row whose lines are found once for all of them, and at most for it to start at a line.
constexpr std::int64_t long_aligned_row = 4096;
constexpr std::int64_t longest_aligned_row = 16384;

}  // namespace

std::optional<Fold> find_fold_beyond_caches(const Machine& machine, const Views& data) noexcept {
  const View& x = data.x();
  const auto size = static_cast<std::int64_t>(size_of(x.dtype));
  if (x.layout == Layout::ncl) {
    return rows_are_long(machine, data.out()) ? find_fold(machine, data)
                                              : find_fold_for_sums(machine, data);
  }
  const std::int64_t row = x.C * size;
  const std::int64_t to_line = line_bytes / std::gcd(row, line_bytes);
  const std::int64_t unit = row * to_line > longest_aligned_row ? 1 : to_line;
  const std::int64_t repeat = (long_aligned_row + row * unit - 1) / (row * unit) * unit;
  const bool fits = std::all_of(data.begin(), data.end(), [&](const View& v) {
    return v.zeros != 0 ? v.zeros >= repeat * x.C : v.is_dense();
  });
  if (!fits || row >= long_aligned_row || x.N < repeat * enough_rows) {
    return std::nullopt;
  }
  return Fold{x.C, repeat, 1};
}

bool starts_at_line(const View& v) noexcept {
  return std::bit_cast<std::uintptr_t>(v.data) % line_bytes == 0;
}

bool is_beyond_caches(const Machine& machine, const Views& data, std::int64_t most) {
  const View& out = data.out();
  if (out.memory != nullptr) {
    return false;
  }
  if (data.bytes() <= most || !starts_at_line(out)) {
    return false;
  }
  const std::optional<Fold> fold = find_fold_beyond_caches(machine, data);
  if (!rows_are_long(machine, fold ? fold->folded(out) : out)) {
    return false;
  }
  // An output that overwrites an input finds its lines in cache.
  const bool in_place = std::any_of(
      data.begin(), data.end(), [&](const View& v) { return &v != &out && v.data == out.data; });
  return !in_place;
}

bool sums_gain_beyond_caches(const Views& data) noexcept {
  const View& out = data.out();
  return out.layout == Layout::nlc ||
         out.L * static_cast<std::int64_t>(size_of(out.dtype)) >= long_row_with_sums;
}

/// The sums of a training call read half of what the call touches.
bool should_prefetch(const Machine& machine, const Rows& operation, const Views& data) {
  const View& x = data.x();
  if (x.memory != nullptr || sums_in_double(operation, x) ||
      data.bytes() <= machine.thresholds.nontemporal_bytes / 2) {
    return false;
  }
  const Kernel* kernel = find_variant(machine, rows::batch_norm_moments_nontemporal, x);
  return kernel != nullptr && !follows_rows(machine, *kernel, data);
}

/// The threads of a pool count their tasks by locked instructions, which wait for such stores. The
/// caller's own stores wait here.
void fence_nontemporal_stores() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace halnorm::HALNORM_ABI::detail
