#include "arm.h"

#include <algorithm>

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::Layout;
using Halide::Stage, Halide::Var;

namespace {

// No ARM machine was at hand: constants follow from the published widths, latencies and caches of
// Cortex-A53 to Neoverse N1, and from the generated code (docs/performance.md), not from times.
constexpr Tuning defaults{
    // Elements that a task has at least: half of x86's, because a core takes twice as long for them
    // and a sleeping thread wakes up no later.
    .task_elements = 8192,
    // Vectors of channels whose sums lie in L1 while a thread walks down the rows, NLC: two sums
    // and a shift for 512 channels take 6 KB, and leave 26 of 32 KB to the lines of the rows.
    .strip_vectors = 128,
    // Elements that a task has side by side in memory, NCL: 64 KB, or 16 pages, so that input and
    // output pages of a row fit the 32 to 48 entries of a first-level TLB.
    .near_elements = 16384,
    // Bytes that a task reads and reads again, NCL: half of an L2 of 512 KB, the other half being
    // the output's.
    .cached_bytes = 262144,
};

// A NEON register, and what one load brings.
constexpr int vector_bytes = 16;

// A line of every cache since Cortex-A7: whole lines are read and written at a time.
constexpr int line_bytes = 64;

// Registers that a block's sum is spread over, NCL. A value takes a subtraction, an addition and a
// multiplication with addition. Four vectors of them keep two pipes busy for 6 cycles, longer than
// the 4 of an addition's or multiplication's latency, so that no sum waits for itself; more would
// only make the rest of a short row longer.
constexpr int accumulators = 4;

}  // namespace

Arm::Arm(const Halide::Target& target, const Tuning& tuning, const Strides& strides)
    : Cpu(target, tuning, defaults, strides), is_64_bit_(target.bits == 64) {}

/// A vector of data: float16 and bfloat16 are computed in two registers of float32, but loaded and
/// stored as one.
int Arm::step_of(Halide::Type data) const { return vector_bytes / data.bytes(); }

BlockSizes Arm::block_sizes(Layout layout, Halide::Type data, bool in_double) const {
  const int width = step_of(data);
  const bool shift_by_first = in_double && data.bytes() < 8;
  if (layout == Layout::NLC) {
    // Rows side by side: each has a pointer, of which 32-bit code has 13. Blocks are merged in
    // double, two channels in a vector, about 20 instructions for each: with 128 rows and more
    // that is a tenth of an instruction for an element.
    return {.width = width,
            .lanes = is_64_bit_ ? 8 : 4,
            .row_length = 1,
            .block_values = 65536,
            .min_rows = 128,
            .max_rows = 256,
            .in_double = in_double,
            .shift_by_first = shift_by_first};
  }
  const int bytes = in_double ? 8 : algorithm::accumulator_of(data).bytes();
  const int registers = width * bytes / vector_bytes;
  const int lanes = std::max(accumulators / registers, 1);
  // No lane adds more than 64 values.
  return {.width = width,
          .lanes = lanes,
          .row_length = 64 * lanes * width,
          .block_values = 32 * lanes * width,
          .min_rows = 1,
          .max_rows = 64,
          .in_double = in_double,
          .shift_by_first = shift_by_first};
}

/// A line at a time, as pairs of registers: one instruction loads or stores two of them. A vector
/// is guarded first, and then the line: NEON has no masks, so that a guarded vector is scalar code,
/// even if it is empty; this way a row has one, and an empty one is passed over.
void Arm::write_along(Stage y, const Var& l, const Halide::Type& data) const {
  const Var li("li"), line("line");
  const int step = step_of(data);
  y.split(l, l, li, step, guarded)
      .vectorize(li)
      .split(l, l, line, line_bytes / data.bytes() / step, guarded)
      .reorder(li, line, l)
      .unroll(line);
}

/// Rows side by side, which load a channel's coefficients once: with one row those are three of
/// four loads, and a core such as Cortex-A72 loads one vector a cycle.
void Arm::write_across(Stage y, const Var& c, const Var& n, const Halide::Type& data) const {
  const Var ci("ci"), pair("pair"), together("together");
  // As many rows as have registers for their pointers, and two registers of values in each, which
  // one instruction loads or stores: of four, a third of bfloat16's values went to the stack.
  const int rows = is_64_bit_ ? 4 : 2;
  const int vectors = 2 * data.bytes() / algorithm::accumulator_of(data).bytes();
  y.split(c, c, ci, step_of(data), guarded)
      .vectorize(ci)
      .split(c, c, pair, vectors, guarded)
      .unroll(pair)
      .split(n, n, together, rows, guarded)
      .reorder(ci, pair, together, c, n)
      .unroll(together);
}

}  // namespace halnorm::schedule
