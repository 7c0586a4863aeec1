#include "single_pass.h"

#include "sums.h"
#include "thread_grid.h"

namespace halnorm::schedule {

using algorithm::BlockSizes;
using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;

BlockSizes GpuSinglePass::block_sizes(Layout layout, Halide::Type data, bool /*in_double*/) const {
  const bool along_rows = layout == Layout::NCL;
  // Not all OpenCL devices have more.
  const int threads = on_opencl() ? 256 : 512;
  const int channels = along_rows ? 1 : channels_of(data);
  const int width = along_rows ? warp : 4;
  return {.whole = true,
          .in_double = true,
          .shift_by_first = data.bytes() < 8,
          .device = sums_by({.width = width,
                             .warps = threads / channels / width,
                             .unroll = unroll_of(data),
                             .channels = channels,
                             .warp_shuffle = shuffles(layout)})};
}

/// One launch, whose grid is that of y:
///
///     block (below, along, column)
///       each thread: path, shift; for main: thread_sum; for tail; CUDA, NCL: shuffled
///       shared_sum; one thread per warp: warp; one per channel: all, sums, merged, total,
///       invstd_of_channel; NLC: offset, origin, scale
///       each thread: offset, origin, scale of its channels; for n: for l: 4 rows of a vector: y
///       one thread per channel: invstd, m2, mean
///
/// NCL, 64 channels, float32: 12.7 us at the limit, 32768 values; 20.4 us in three launches of
/// earlier kernels (an H100, docs/performance.md).
void GpuSinglePass::train(Reduction& m, Normalize& s, const PerChannel& statistics) const {
  const Written y = written(s, m.grid.domain);
  write_blocks(y, m.grid);
  sum_in_block(m, s.y, column);
  keep_in_block(m.merged, s.y, column, m.grid);
  keep_in_block(m.total, s.y, column, m.grid);
  finish(s, y, m.grid, statistics);
}

/// One launch like that of train(), with the sums of two tensors and dx instead of y: the threads
/// of a block sum, one per channel makes the coefficients, and all write dx in two rows at once.
void GpuSinglePass::backward(GradientSums& s, InputGradient& g, const PerChannel& gradients) const {
  Reduction& r = s.about_center;
  const Written dx = written(g, r.grid.domain);
  write_blocks(dx, r.grid);
  sum_in_block(r, g.dx, column);
  keep_in_block(r.merged, g.dx, column, r.grid);
  finish(g, dx, r.grid, gradients);
}

}  // namespace halnorm::schedule
