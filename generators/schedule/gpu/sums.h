#pragma once

#include "../schedule.h"
#include "thread_sums.h"

namespace halnorm::schedule {

/// The size of a CUDA warp, whose loads the hardware joins.
inline constexpr int warp = 32;

/// The elements of one aligned access: 16 bytes, or 8 bytes of 16-bit data, the most that Halide 21
/// makes one access of. (It cannot compile vectors of float64 for CUDA.)
inline int vector_of(const Halide::Type& data) { return data.bytes() == 8 ? 1 : 4; }

/// The channels of a block of threads in NLC: 32 bytes, one memory access.
inline int channels_of(const Halide::Type& data) { return 32 / data.bytes(); }

/// The loads of a thread that are in flight at once: as many as its registers allow, to hide the
/// latency of memory.
inline int unroll_of(const Halide::Type& data) { return data.bytes() == 8 ? 4 : 8; }

/// Schedules the sums of a block of threads in the loop `block` of `at`, in shared memory. Nothing
/// is computed twice, so that x may be overwritten afterwards.
void sum_in_block(algorithm::Reduction& r, const Halide::Func& at, const Halide::Var& block);

/// Schedules the merge of a channel's blocks in the same way, down to the result `kept`.
void merge_in_block(algorithm::Reduction& r, const Halide::Func& kept, const Halide::Func& at,
                    const Halide::Var& block);

/// One value per channel in each block of threads, in shared memory.
void keep_in_block(Halide::Func f, const Halide::Func& at, const Halide::Var& block,
                   const ThreadBlocks& blocks);

}  // namespace halnorm::schedule
