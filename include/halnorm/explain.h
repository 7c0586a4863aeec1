#pragma once

#include <string>
#include <string_view>

#include "halnorm/tensor.h"

/// @file
/// The kernels of a call and the parts of the data that they process, before the call;
/// halnorm/call_report.h tells them of calls that were made.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// The plan of a call of halnorm/functional.h or functional_fused.h for x, as text; nothing is
/// computed. For an x in NCL, and for one in NLC, explain("batch_norm_train", x) returns for
/// example
///
///     halnorm_batch_norm_train_ncl_f32__avx2
///     halnorm_batch_norm_moments_nlc_f32__avx2, then halnorm_batch_norm_elemt_nlc_f32__avx2
///
/// Kernels joined by "then" run in this order; those in parentheses process a part of the data. The
/// plan assumes that dy, y and addend have x's strides, and that running statistics are contiguous
/// and have the dtype of x's parameters. Copies and conversions before the kernels are not part of
/// it.
///
/// @param function batch_norm_train, batch_norm_infer, batch_norm_backward,
///                 batch_norm_backward_infer, batch_norm_moments, batch_norm_elemt,
///                 batch_norm_backward_reduce, batch_norm_backward_elemt, update_running_stats,
///                 batch_norm_train_update; batch_norm_fused_train, batch_norm_fused_train_update,
///                 batch_norm_fused_infer, batch_norm_fused_backward or
///                 batch_norm_fused_backward_infer
/// @param x        (N, C), (N, C, L) or with more axes; for update_running_stats the
///                 data that the moments are of
/// @param out      the tensor for y or dx; undefined for a new one
/// @throws ValueError for another name; ShapeError, DTypeError, DeviceError or KernelError (an
///         operation that the build leaves out) as the function does
std::string explain(std::string_view function, const Tensor& x, const Tensor& out = {});

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
