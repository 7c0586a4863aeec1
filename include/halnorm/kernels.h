#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// The generated kernels that are linked into this program, which of them run here, and the threads
/// they run on.

#pragma GCC visibility push(default)

namespace halnorm {

/// One generated kernel. Its name is `halnorm_<operation>_<layout>_<dtype>__<target>`.
struct KernelInfo {
  std::string name;
  std::string operation;  ///< "batch_norm_train", "batch_norm_infer", ...
  std::string layout;  ///< "ncl" (L innermost), "nlc" (C innermost), or "c" (one value a channel)
  std::string dtype;   ///< "f16", "bf16", "f32" or "f64"
  std::string target;  ///< "avx512", "arm64", ...: cmake/targets.cmake lists them
  /// Whether this CPU executes the target's instructions; of cuda and opencl, whether such a device
  /// can be used.
  bool runs_here = false;
};

/// All linked kernels. Within each operation, layout and dtype the CPU's fastest target is first,
/// its portable one comes behind its others, and devices come last. Asking whether a device can be
/// used loads its driver.
std::vector<KernelInfo> kernels();

/// The targets that are linked and that this CPU executes, fastest first.
std::vector<std::string> targets();

/// Makes every later call use this target's kernels; "" gives the choice back (the environment
/// variable HALNORM_TARGET if set, otherwise the fastest). Affects all threads.
/// @throws KernelError for a name that is not linked or that this CPU cannot run; the choice stays.
void force_target(std::string_view target);

/// The name of the kernel that this thread ran last, "" before the first: for tests and reports.
std::string last_kernel();

/// Threads that one call may use, the caller included. 0, the default, means the environment
/// variable HL_NUM_THREADS if it is a number from 1 to 256. Otherwise it means one for each CPU of
/// the affinity mask, and no more than the CPU quota of the process's control groups, rounded up;
/// both are read once. The threads start with the first call that needs them. If one cannot start,
/// that call throws KernelError. After fork() the child starts its own.
/// @throws ValueError if negative or above 256.
void set_num_threads(int threads);
int get_num_threads();

/// For set_streaming_threshold(): the size of the last-level cache that a core uses, and 64 MB if
/// that is larger or the CPU does not tell.
inline constexpr std::int64_t default_streaming_threshold =
    std::numeric_limits<std::int64_t>::min();

/// Calls that touch more bytes than this (inputs and output together) fetch their inputs ahead of
/// time and write their output past the caches, which the writes would only flush; sums alone, as
/// of batch_norm_moments(), fetch from half of it. 0 means never. x86 with AVX2, where the output
/// is another tensor than the inputs, starts at a multiple of 64 bytes and has rows of a KB or two
/// (in (N, C) any): others are written as ever. Less is better where the last-level cache is small,
/// more where what comes next finds the output in a large one. Unless set, it is
/// default_streaming_threshold. Affects all threads.
/// @throws ValueError if negative and not default_streaming_threshold.
void set_streaming_threshold(std::int64_t bytes);

}  // namespace halnorm

#pragma GCC visibility pop
