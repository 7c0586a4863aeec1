#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "halnorm/device.h"
#include "halnorm/dtype.h"
#include "halnorm/tensor.h"

/// @file
/// The kernels of a call and the parts of the data that they process: before a call by explain(),
/// after a call by a sink.

#pragma GCC visibility push(default)

namespace halnorm {

/// The plan of a call of halnorm/functional.h for x, as text; nothing is computed. For example
/// explain("batch_norm_train", x) returns
///
///     halnorm_batch_norm_train_ncl_f32__avx2
///     halnorm_batch_norm_moments_nlc_f32__avx2, then halnorm_batch_norm_elemt_nlc_f32__avx2
///
/// The kernels run one after the other; those in parentheses process a part of the data. dy is
/// assumed to have x's strides. Copies and conversions before the kernels are not part of the plan.
///
/// @param function batch_norm_train, batch_norm_infer, batch_norm_backward,
///                 batch_norm_backward_infer, batch_norm_moments, batch_norm_elemt,
///                 batch_norm_backward_reduce or batch_norm_backward_elemt
/// @param x        (N, C), (N, C, L) or with more axes, not empty
/// @param out      the tensor for y or dx; undefined for a new one
/// @throws ValueError for another name; ShapeError, DTypeError or DeviceError as the function does
std::string explain(std::string_view function, const Tensor& x, const Tensor& out = {});

/// A finished operation. The string views are valid while the sink runs.
struct CallReport {
  std::string_view function;  ///< the public function: "batch_norm_train", ...
  DType dtype;                ///< of the data as the kernels read it, or of running statistics
  Device device;              ///< of the data
  std::string_view layout;    ///< "ncl" (L innermost), "nlc" (C innermost), "c" (per channel)
  std::int64_t N;             ///< extent for the kernels: in NLC the N * L rows
  std::int64_t C;             ///< extent for the kernels
  std::int64_t L;             ///< extent for the kernels: in NLC 1
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

}  // namespace halnorm

#pragma GCC visibility pop
