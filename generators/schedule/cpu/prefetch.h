#pragma once

#include <Halide.h>

namespace halnorm::schedule {

inline constexpr int line_bytes = 64;  ///< of a cache line

/// The default distance of prefetches. The latency of memory is some hundred cycles, in which a
/// loop reads 1 to 2 KB. Inference NLC on (160000, 256) in Float16 with 1, 2 and 4 KB: 0.74, 0.66
/// and 0.66 of the time without prefetches (an Intel Xeon, 1 thread).
inline constexpr int prefetch_bytes = 2048;

/// The order in which a kernel's loops read the data.
enum class Reading {
  end_to_end,  ///< in the order of memory
  in_pieces,   ///< rows of a channel or two (NCL), or several rows at once (NLC)
};

/// Whether prefetches gain. Wherever vectors are shorter than a cache line, inference in float32
/// without them took 0.84 of the time on (160000, 256), the second half of backward 0.76 to 0.9,
/// but both in float16 1.03 to 1.08 (AVX2 on a Zen 3, 1 thread). In pieces they gain: sums in NCL
/// without them took 1.1 to 1.4 of the time. The library itself calls no kernel with prefetches for
/// sums in NLC where the CPU follows the rows.
bool prefetches_gain(const Halide::Target& target, Halide::Type data, Reading reading);

/// Makes a kernel for data beyond the caches prefetch each cache line of its inputs, `bytes` before
/// it is read; half as far in pieces, rounded to whole rows. Halide's own directive prefetches the
/// region of a loop's step. If the ends are clamped, it adds a loop to each step.
void fetch_ahead(Halide::Pipeline kernel, Reading reading, int bytes);

}  // namespace halnorm::schedule
