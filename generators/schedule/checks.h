#pragma once

#include <Halide.h>

namespace halnorm::schedule {

/// Removes Halide's checks of a kernel's buffers, which are half of its code. The runtime passes
/// only valid buffers. Failures while the kernel runs (memory, threads) are still checked.
void leave_out_checks(Halide::Pipeline kernel);

}  // namespace halnorm::schedule
