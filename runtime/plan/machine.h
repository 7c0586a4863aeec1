#pragma once

#include <cstdint>

#include "kernels/table.h"
#include "plan/view.h"

/// @file
/// What a plan depends on besides the data.

namespace halnorm::HALNORM_ABI::detail {

/// Sizes of data from which another kernel, or another cut into parts, is faster. They follow the
/// CPU's caches; ./dev tune measures better ones for a CPU model (docs/tuning.md).
struct Thresholds {
  /// Calls that touch more bytes go past the caches: set_streaming_threshold(). The first one is of
  /// training and backward in NCL (batch_norm_backward_infer too), most of which sum and write in
  /// one kernel, of the backward of relu, whose output is read next, and, halved, of the prefetches
  /// of sums in both layouts. The second one is of all other outputs.
  std::int64_t nontemporal_bytes;
  std::int64_t nontemporal_bytes_of_passes;

  /// The most bytes of x for a single pass over few rows, NLC, if a vector is a cache line and if
  /// it is a part of one. The single pass comes back to every row for each vector of channels, and
  /// so to most lines of the caches if vectors are shorter. With AVX2 training took 0.6 of the time
  /// on 16 KB, 0.8 to 0.95 on 32 KB and 1.2 to 1.5 times as long on 64 KB, which AVX-512 did in 0.8
  /// to 0.9 (an Intel Xeon). SSE4.1 and NEON take the values of AVX2; docs/performance.md has
  /// figures of SSE4.1.
  std::int64_t single_pass_bytes_in_lines = 65536;
  std::int64_t single_pass_bytes_in_parts = 24576;

  /// The elements of a group of channels with short rows, NCL: they fit in a core's L2, because
  /// rows that short are slow from farther memory.
  std::int64_t group_elements = 131072;

  /// If a channel has as many rows of less than 1 KB, they are summed by columns. Each row is on a
  /// page of its own, so that a loop over the rows misses the TLB for each. Training took, relative
  /// to the time without columns, 0.20 on (65536, 16, 16), 0.22 on (8192, 16, 100) and 0.71 on
  /// (512, 64, 16). It took 1.16 with longer rows, (1024, 64, 256), and 0.9 and 1.5 with fewer,
  /// (256, 64, 32) and (64, 64, 64) (a Zen 3, 1 thread).
  std::int64_t many_rows = 512;
};

/// The device of the data.
struct Machine {
  Target target;  ///< whose kernels run
  /// Whether the CPU's own prefetchers follow rows on separate pages. Those of AMD do, those of
  /// Intel do not; other CPUs count as Intel's.
  bool follows_rows;
  Thresholds thresholds;
};

/// The machine that the data are on, with the thresholds of this process.
/// @throws KernelError if HALNORM_TARGET names no target that runs here.
Machine machine_of(const View& x);

/// The thresholds of a CPU whose cores share a last-level cache of so many bytes; 0 if unknown.
/// `in_lines`: its vectors are cache lines.
Thresholds thresholds_for(bool follows_rows, bool in_lines, std::int64_t cache) noexcept;

/// For measurements: later plans of this process have these thresholds, which live until the next
/// call; null for the host's own.
void set_thresholds(const Thresholds* thresholds) noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
