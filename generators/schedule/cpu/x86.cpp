#include "x86.h"

#include <algorithm>
#include <limits>

#include "../../algorithm/rounding.h"
#include "prefetch.h"

namespace halnorm::schedule {

using algorithm::Layout;
using Halide::Stage, Halide::Var;

namespace {

// The constants that the tuner may set, with their defaults.
constexpr Tuning defaults{
    // The least elements of a task. With fewer, waking a second thread costs more than it gains (a
    // sleeping thread arrives tens of microseconds late).
    .grain_size = 16384,
    // Vectors of channels whose sums are in L1 while a thread reads the rows, NLC: with whole rows
    // instead of tiles of 8 vectors, moments of (4096, 256) 116 to 65 us (Zen 4, 1 thread).
    .channel_tile = 64,
    // The contiguous elements of a task, NCL: instead of 8192, training (64, 64, 1250) 3.3
    // to 2.6 ms, backward (16, 128, 784) 690 to 490 us (Zen 4, 1 thread). More elements gain
    // nothing.
    .chunk_elements = 32768,
    // The bytes that a task reads twice, NCL: with half a megabyte instead of all that
    // chunk_elements allows, backward (16, 128, 784) 1060 to 710 us, (32, 512, 300) 3380 to 2280,
    // training 2010 to 1550 (an Intel Xeon, 2 MB of L2, 1 thread).
    .l2_bytes = 524288,
    // The vectors of partial sums, NCL: two sums of this many stay in registers. AVX-512 has 32
    // registers, others have 16.
    .sum_vectors = 4,
    // The rows that are summed in registers before they are added to a tile's sums, NLC.
    .sum_rows = 8,
    // The most rows of a block, NLC: one lane may have to add them all.
    .block_rows = 256,
};

// Eight rows at once are eight streams, which the hardware prefetcher follows if they are on
// different pages. On a Zen 3, 1 and 2 threads, share of the time with neighbouring rows: training
// 0.82 and 0.85 on (160000, 256), 0.72 and 0.89 on (32, 128, 4096), 0.57 and 0.55 on (50000, 48).
// Sums of two tensors have sixteen: 0.72 and 0.58 on (50000, 48), but 1.14 and 1.09 on (160000,
// 256). With four rows of each they have eight again: backward_reduce 0.42 on (64, 256, 157), 0.85
// on (4096, 256), and 0.71 on (160000, 256), there with no prefetches 0.52; nowhere above 1.05.
constexpr int all_channels = std::numeric_limits<int>::max();
constexpr int few_channels = 160;

}  // namespace

X86::X86(const Halide::Target& target, const Tuning& tuning, const Strides& strides)
    : Cpu(target, tuning, defaults, strides) {}

/// The elements of a vector of the accumulator's type.
int X86::step_of(Halide::Type data) const { return natural(algorithm::accumulator_of(data)); }

/// NLC: a vector of AVX2 or SSE4.1 is a part of a cache line, so that the sums come back to each
/// line. Two tensors of eight rows each are sixteen lines, and in one set of the L1 cache, which
/// has eight ways, if rows are 4 KB apart. With half the rows backward_reduce takes 0.41 of the
/// time on (128, 1024), 0.40 on (8192, 64), 0.6 on (25600, 64) and 1.0 on (4096, 256) (AVX2 on a
/// Zen 3, 1 thread, beside moments, whose code is the same).
BlockSizes X86::block_sizes(Layout layout, const SumOptions& options) const {
  const int width = step_of(options.data);
  if (layout == Layout::NLC) {
    const bool in_parts = natural(Halide::UInt(8)) < line_bytes;
    // In a single pass all rows stay in the L1 cache.
    const bool halves = options.tensors > 1 && !options.whole && in_parts;
    return {.width = width,
            .lanes = halves ? std::max(tuning().sum_rows / 2, 1) : tuning().sum_rows,
            .row_length = 1,
            .block_values = 65536,
            .min_rows = 64,
            .max_rows = tuning().block_rows,
            .channels_apart = options.tensors > 1 && !halves ? few_channels : all_channels,
            // A masked store of AVX2 takes as long as a dozen others. Moments of (8191, 65) took
            // 0.66 of the time without them, backward_reduce 0.67 (a Zen 3, 1 thread).
            .slow_masks = in_parts};
  }
  // No lane adds more than 32 values, for any width of vectors. A sum in double takes twice the
  // registers.
  const bool halves = options.in_double && natural(Halide::Float(32)) < 16;
  const int lanes = halves ? std::max(tuning().sum_vectors / 2, 1) : tuning().sum_vectors;
  const int step = lanes * width;
  return {.width = width,
          .lanes = lanes,
          .row_length = 32 * step,
          .block_values = 16 * step,
          .min_rows = 1,
          .max_rows = 32};
}

void X86::write_along(Stage y, const Var& l, const Halide::Type& data) const {
  const Var li("li");
  y.split(l, l, li, step_of(data), guarded).vectorize(li);
}

/// One row after the other: four at once, which share their coefficients, took 22 instead of 14 us
/// in inference on (128, 1024) (Zen 4, 1 thread).
void X86::write_across(Stage y, const Var& c, const Var& /*n*/, const Halide::Type& data) const {
  const Var ci("ci");
  y.split(c, c, ci, step_of(data), guarded).vectorize(ci);
}

}  // namespace halnorm::schedule
