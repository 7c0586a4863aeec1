#pragma once

/// @file
/// The operations on float64 in plain C++. A build without float64 kernels takes them for the
/// channels that leave float32's range (functional/range_fallback.h), so they are few values.
///
/// Each has the arguments of the generated kernels of its name, and may write over the same inputs
/// as these. Every buffer holds float64, on the host. They run on one thread and return 0.

namespace halnorm::detail::scalar_f64 {

int batch_norm_train(void** arguments);
int batch_norm_infer(void** arguments);
int batch_norm_backward(void** arguments);
int batch_norm_backward_infer(void** arguments);
int batch_norm_moments(void** arguments);
int batch_norm_elemt(void** arguments);
int batch_norm_backward_reduce(void** arguments);
int batch_norm_backward_elemt(void** arguments);
int batch_norm_fused_infer(void** arguments);
int batch_norm_fused_elemt(void** arguments);
int relu_backward(void** arguments);

}  // namespace halnorm::detail::scalar_f64
