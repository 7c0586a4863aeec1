#pragma once

#include <Halide.h>

namespace halnorm::schedule {

/// Removes Halide's checks of a kernel's buffers, which are half of its code. The runtime passes
/// only valid buffers. Failures while the kernel runs (memory, threads) are still checked.
void leave_out_checks(Halide::Pipeline kernel);

/// A sum without a loop of its own would be computed again for every value that reads it.
/// @throws CompileError if a schedule has forgotten a stage that sums.
void require_scheduled(const Halide::Pipeline& kernel);

}  // namespace halnorm::schedule
