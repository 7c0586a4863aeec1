#pragma once

#include <Halide.h>

namespace halnorm::schedule {

inline constexpr int line_bytes = 64;  ///< of a cache

/// In which order a kernel's loops read the data.
enum class Reading {
  end_to_end,  ///< as it lies in memory
  in_pieces,   ///< rows of a channel or two (NCL), or several rows side by side (NLC)
};

/// Has a kernel for data beyond the caches ask for each line of its inputs some time before it
/// loads it. Halide's own directive fetches the region that a step of a loop needs: where ends are
/// clamped, by a loop of its own in each step.
void fetch_ahead(Halide::Pipeline kernel, Reading reading);

}  // namespace halnorm::schedule
