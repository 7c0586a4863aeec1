#include "single_pass.h"

#include <algorithm>

#include "sums.h"

namespace halnorm::schedule {

using algorithm::GradientSums;
using algorithm::InputGradient;
using algorithm::Layout;
using algorithm::Normalize;
using algorithm::Reduction;

std::unique_ptr<algorithm::Summation> GpuSinglePass::summation(const algorithm::Domain& domain,
                                                               const SumOptions& options) const {
  const bool along_rows = domain.layout == Layout::NCL;
  // Not all OpenCL devices have more.
  const int threads = value_or(tuning().block_threads, on_opencl() ? 256 : 512);
  const int channels = along_rows ? 1 : channels_of(options.data);
  const int width = along_rows ? warp : 4;
  const int unroll = value_or(tuning().unroll, unroll_of(options.data));
  const ThreadGrid grid{.width = width,
                        .warps = threads / channels / width,
                        .unroll = std::max(unroll / options.tensors, 1),
                        .channels = channels,
                        .warp_shuffle = shuffles(domain.layout)};
  return std::make_unique<ThreadSums>(ThreadBlocks(domain, grid));
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
void GpuSinglePass::train(Reduction& m, Normalize& s, const Output& y,
                          const PerChannel& statistics) const {
  const ThreadBlocks& blocks = thread_sums_of(m).blocks;
  const Written written = written_y(s, y);
  write_blocks(written, blocks);
  sum_in_block(m, y.f, column);
  keep_in_block(m.merged, y.f, column, blocks);
  keep_in_block(m.total, y.f, column, blocks);
  finish(s, written, blocks, statistics);
}

/// One launch like that of train(), with the sums of two tensors and dx instead of y: the threads
/// of a block sum, one per channel makes the coefficients, and all write dx in two rows at once.
void GpuSinglePass::backward(GradientSums& s, InputGradient& g, const Output& dx,
                             const PerChannel& gradients) const {
  Reduction& r = s.about_center;
  const ThreadBlocks& blocks = thread_sums_of(r).blocks;
  const Written written = written_dx(dx);
  write_blocks(written, blocks);
  sum_in_block(r, dx.f, column);
  keep_in_block(r.merged, dx.f, column, blocks);
  finish(g, written, blocks, gradients);
}

}  // namespace halnorm::schedule
