#include "arm.h"

#include <algorithm>

#include "../../algorithm/rounding.h"

namespace halnorm::schedule {

using algorithm::Layout;
using Halide::Stage, Halide::Var;

namespace {

// No ARM machine was available. The constants are derived from the published widths, latencies and
// caches of Cortex-A53 to Neoverse N1, and from the generated code (docs/performance.md), not from
// times.
constexpr Tuning defaults{
    // The least elements of a task: half of x86's, because a core takes twice as long for each and
    // a sleeping thread wakes up in the same time.
    .grain_size = 8192,
    // Vectors of channels whose sums are in L1 while a thread reads the rows, NLC: two sums and a
    // shift for 512 channels take 6 KB, and leave 26 of 32 KB for the cache lines of the rows.
    .channel_tile = 128,
    // The contiguous elements of a task, NCL: 64 KB, or 16 pages, so that input and output pages of
    // a row fit in the 32 to 48 entries of a first-level TLB.
    .chunk_elements = 16384,
    // The bytes that a task reads twice, NCL: half of an L2 of 512 KB; the other half is for the
    // output.
    .l2_bytes = 262144,
    // The registers of a block's sum, NCL. A value takes a subtraction, an addition and a
    // multiply-add. Four vectors of them keep two pipes busy for 6 cycles, longer than the latency
    // of an addition or a multiplication, 4 cycles, so that no sum waits for itself. More registers
    // would only make the tail of a short row longer.
    .sum_vectors = 4,
    // The rows at once, NLC: each needs a pointer, and 32-bit code, which has 13, takes half.
    .sum_rows = 8,
    // The most rows of a block, NLC: one lane may have to add them all.
    .block_rows = 256,
};

// The size of a NEON register and of one load.
constexpr int vector_bytes = 16;

// The size of a cache line since Cortex-A7. Loops read and write whole lines.
constexpr int line_bytes = 64;

}  // namespace

Arm::Arm(const Halide::Target& target, const Tuning& tuning, const Strides& strides)
    : Cpu(target, tuning, defaults, strides), is_64_bit_(target.bits == 64) {}

/// A vector of data: float16 and bfloat16 are computed in two registers of float32, but loaded and
/// stored as one.
int Arm::step_of(Halide::Type data) const { return vector_bytes / data.bytes(); }

BlockSizes Arm::block_sizes(Layout layout, const SumOptions& options) const {
  const int width = step_of(options.data);
  if (layout == Layout::NLC) {
    // Blocks are merged in double, two channels per vector, about 20 instructions for each: with
    // 128 rows and more this is a tenth of an instruction per element.
    return {.width = width,
            .lanes = is_64_bit_ ? tuning().sum_rows : tuning().sum_rows / 2,
            .row_length = 1,
            .block_values = 65536,
            .min_rows = 128,
            .max_rows = tuning().block_rows};
  }
  const int bytes = options.in_double ? 8 : algorithm::accumulator_of(options.data).bytes();
  const int registers = width * bytes / vector_bytes;
  const int lanes = std::max(tuning().sum_vectors / registers, 1);
  // No lane adds more than 64 values.
  return {.width = width,
          .lanes = lanes,
          .row_length = 64 * lanes * width,
          .block_values = 32 * lanes * width,
          .min_rows = 1,
          .max_rows = 64};
}

/// Writes cache lines as pairs of registers: one instruction loads or stores two of them. The guard
/// is first on the vector, and then on the line. NEON has no masks, so a guarded vector is scalar
/// code; in this order a row has one, and an empty one is skipped.
void Arm::write_along(Stage y, const Var& l, const Halide::Type& data) const {
  const Var li("li"), line("line");
  const int step = step_of(data);
  y.split(l, l, li, step, guarded)
      .vectorize(li)
      .split(l, l, line, line_bytes / data.bytes() / step, guarded)
      .reorder(li, line, l)
      .unroll(line);
}

/// Several rows at once, which load a channel's coefficients once. With one row the coefficients
/// are three of four loads, and a core like Cortex-A72 loads one vector per cycle.
void Arm::write_across(Stage y, const Var& c, const Var& n, const Halide::Type& data) const {
  const Var ci("ci"), pair("pair"), unrolled("unrolled");
  // As many rows as there are registers for their pointers, and two registers of values in each,
  // which one instruction loads or stores. With four, a third of bfloat16's values went to the
  // stack.
  const int rows = is_64_bit_ ? 4 : 2;
  const int vectors = 2 * data.bytes() / algorithm::accumulator_of(data).bytes();
  y.split(c, c, ci, step_of(data), guarded)
      .vectorize(ci)
      .split(c, c, pair, vectors, guarded)
      .unroll(pair)
      .split(n, n, unrolled, rows, guarded)
      .reorder(ci, pair, unrolled, c, n)
      .unroll(unrolled);
}

}  // namespace halnorm::schedule
