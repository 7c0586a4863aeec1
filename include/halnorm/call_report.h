#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "halnorm/device.h"
#include "halnorm/dtype.h"

/// @file
/// Reports of calls: which kernels processed which parts of the data, and for how long.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// A finished operation. The string views are valid while the sink runs.
struct CallReport {
  std::string_view function;  ///< the public function: "batch_norm_train", ...
  DType dtype;                ///< of the data as the kernels read it, or of running statistics
  Device device;              ///< of the data
  std::string_view layout;    ///< "ncl" (L innermost), "nlc" (C innermost), "c" (per channel)
  std::int64_t N;             ///< for the kernels: in NLC N * L rows, if the batch has gaps N
  std::int64_t C;             ///< channels
  std::int64_t L;             ///< for the kernels: in NLC 1, if the batch has gaps L
  std::string_view plan;      ///< the kernels, as explain() returns them
  double seconds;             ///< the time; on a device the time to enqueue the kernels
};

/// Calls `sink` after every operation; an empty function ends this. If no sink is set and the
/// environment variable HALNORM_VERBOSE is 1 at the first call, the library writes a line per
/// operation to the standard error stream; otherwise it never writes. A call with several
/// operations makes several reports, for example if channels beyond float32's range are computed
/// again in float64.
///
/// Threads: each thread that calls halnorm calls `sink`, several at the same time if several call.
/// It may not be changed while another thread is in a call. Its exceptions are ignored.
void set_call_sink(std::function<void(const CallReport&)> sink);

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
