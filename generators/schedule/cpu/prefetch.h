#pragma once

#include <Halide.h>

namespace halnorm::schedule {

inline constexpr int line_bytes = 64;  ///< of a cache line

/// The order in which a kernel's loops read the data.
enum class Reading {
  end_to_end,  ///< in the order of memory
  in_pieces,   ///< rows of a channel or two (NCL), or several rows at once (NLC)
};

/// Makes a kernel for data beyond the caches prefetch each cache line of its inputs. Halide's own
/// directive prefetches the region of a loop's step. If the ends are clamped, it adds a loop to
/// each step.
void fetch_ahead(Halide::Pipeline kernel, Reading reading);

}  // namespace halnorm::schedule
