#pragma once

#include <Halide.h>

namespace halnorm::schedule {

/// Leaves out Halide's checks of the buffers that a kernel is given: half of its code. The runtime
/// hands over no other buffers. What can fail while the kernel runs (memory, threads) stays
/// checked.
void leave_out_checks(Halide::Pipeline kernel);

}  // namespace halnorm::schedule
