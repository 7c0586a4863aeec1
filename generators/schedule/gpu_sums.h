#pragma once

#include "schedule.h"

namespace halnorm::schedule {

/// A warp of CUDA's: threads whose loads the hardware joins into one.
inline constexpr int warp = 32;

/// Elements that one access takes, where they are aligned: 16 bytes, or of narrow data 8, the most
/// that Halide 21 makes one access of. (It cannot compile vectors of float64 for CUDA.)
inline int vector_of(const Halide::Type& data) { return data.bytes() == 8 ? 1 : 4; }

/// Channels of a block of threads in NLC: neighbours that one access to memory brings, 32 bytes.
inline int channels_of(const Halide::Type& data) { return 32 / data.bytes(); }

/// Values of a thread whose loads are on their way at a time: as many as it has registers for, and
/// they hide the way to memory.
inline int together(const Halide::Type& data) { return data.bytes() == 8 ? 4 : 8; }

/// What walks, and adds up, a block of threads in which `at` is computed: in its loop `block`, and
/// in shared memory. Nothing of it is made twice, so that x may be overwritten afterwards.
void sum_in_block(algorithm::Reduction& r, const Halide::Func& at, const Halide::Var& block);

/// What merges the blocks of a channel, likewise, down to `kept`, which has what is wanted.
void merge_in_block(algorithm::Reduction& r, const Halide::Func& kept, const Halide::Func& at,
                    const Halide::Var& block);

/// One value per channel in each block of threads, for all of it to see.
void keep_in_block(Halide::Func f, const Halide::Func& at, const Halide::Var& block,
                   const algorithm::BlockGrid& grid);

}  // namespace halnorm::schedule
