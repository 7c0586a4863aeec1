#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "halnorm/device.h"
#include "halnorm/dtype.h"
#include "halnorm/tensor.h"

/// @file
/// Which kernels a call runs, on which parts of the data: asked beforehand, or reported afterwards.

#pragma GCC visibility push(default)

namespace halnorm {

/// What a function of functional.h would do with x, in words for a reader; nothing is computed. For
/// example explain("batch_norm_train", x) gives
///
///     halnorm_batch_norm_train_ncl_f32__avx2
///     halnorm_batch_norm_moments_nlc_f32__avx2, then halnorm_batch_norm_elemt_nlc_f32__avx2
///
/// The kernels follow each other; parentheses hold what runs on a part of the data. dy is taken to
/// lie like x. A call whose data has to be copied or converted first is explained without that.
///
/// @param function batch_norm_train, batch_norm_infer, batch_norm_backward,
///                 batch_norm_backward_infer, batch_norm_moments, batch_norm_elemt,
///                 batch_norm_backward_reduce or batch_norm_backward_elemt
/// @param x        (N, C), (N, C, L) or with more axes, not empty
/// @param out      where y or dx goes; undefined for a new tensor
/// @throws ValueError for another name, ShapeError, DTypeError or DeviceError as the function does
std::string explain(std::string_view function, const Tensor& x, const Tensor& out = {});

/// An operation that has been carried out. The views are valid while the sink runs.
struct CallReport {
  std::string_view function;  ///< the public function: "batch_norm_train", ...
  DType dtype;                ///< of the data as the kernels read it, or of running statistics
  Device device;
  std::string_view layout;  ///< "ncl" (L innermost), "nlc" (C innermost), "c" (per channel)
  std::int64_t N, C, L;     ///< as the kernels see them: in NLC, N * L rows of C values, and L = 1
  std::string_view plan;    ///< the kernels, as explain() gives them
  double seconds;           ///< on a device, of queueing the kernels
};

/// Has every operation reported to `sink` once it is done; an empty one ends that. Unless a sink is
/// set, the environment variable HALNORM_VERBOSE=1, read at the first call, has the library write a
/// line per operation to the standard error stream; otherwise it writes nothing anywhere. One call
/// makes more than one report if it takes more than one operation: channels beyond float32's range
/// are computed again in float64.
///
/// Threads: `sink` is called by any thread that calls halnorm, by several at once if several do. It
/// may not be changed while another thread is in a call. What it throws is lost.
void set_call_sink(std::function<void(const CallReport&)> sink);

}  // namespace halnorm

#pragma GCC visibility pop
