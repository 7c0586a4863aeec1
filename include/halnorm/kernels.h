#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/threads.h"  // IWYU pragma: export

/// @file
/// The generated kernels that are linked into this program: a list of them, the choice of a target,
/// and the threshold for non-temporal stores.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// One generated kernel.
struct KernelInfo {
  std::string name;       ///< `halnorm_<operation>_<layout>_<dtype>__<target>`
  std::string operation;  ///< "batch_norm_train", "batch_norm_infer", ...
  std::string layout;     ///< "ncl" (L innermost), "nlc" (C innermost), "c" (one value per channel)
  std::string dtype;      ///< "f16", "bf16", "f32" or "f64"
  std::string target;     ///< "avx512", "arm64", ...: docs/targets.md lists them
  /// For a CPU target, whether this CPU executes its instructions. For cuda and opencl, whether a
  /// device of that type can be used.
  bool runs_here = false;
};

/// All linked kernels. Within each operation, layout and dtype the order is: CPU targets from the
/// fastest to the portable one, then devices. The call loads the drivers of the devices that this
/// build has kernels for.
std::vector<KernelInfo> kernels();

/// The targets that are linked and that this CPU executes, fastest first.
std::vector<std::string> targets();

/// Makes every later call of the process use the kernels of this target. "" restores the default:
/// the target in the environment variable HALNORM_TARGET if set, otherwise the fastest one.
/// For a dtype that the target has no kernels for, those of the next slower one run: see kernels().
/// @throws KernelError if the target is not linked or this CPU cannot run it; the choice is then
///         unchanged.
void force_target(std::string_view target);

/// The name of the kernel that this thread ran last; "" before the first. For tests and reports.
std::string last_kernel();

/// For set_streaming_threshold(): the size of the last-level cache that one core uses, at most
/// 64 MB, and 64 MB if the CPU does not report it. Stores have 16 MB on a CPU that is not AMD's and
/// whose cache is larger than 64 MB, and half of the cache on AMD's without AVX-512, except in
/// training and backward with L innermost and in the backward of relu. A build with tuned
/// thresholds (docs/tuning.md) has those.
inline constexpr std::int64_t default_streaming_threshold =
    std::numeric_limits<std::int64_t>::min();

/// A call that touches more bytes than this (inputs and output together) prefetches its inputs and
/// writes its output with non-temporal stores, which keep the output out of the caches. Calls that
/// compute sums alone, like batch_norm_moments(), prefetch from half of it on. 0 turns both off.
/// The default is default_streaming_threshold. Affects all threads.
///
/// Non-temporal stores need x86 with AVX2, and an output that is not an input, starts at a multiple
/// of 64 bytes and has rows of 384 bytes with AVX-512 (576 of two-byte elements) and of 2 KB with
/// AVX2 (any rows in (N, C)); other outputs use normal stores. All rows need only 128 bytes if each
/// starts at a multiple of 64. Set a smaller value if the last-level cache is small.
/// Set a larger one if the next operation can read the output from a large cache.
/// @throws ValueError if negative and not default_streaming_threshold.
void set_streaming_threshold(std::int64_t bytes);

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
