#pragma once

#include <dlpack/dlpack.h>
#include <stdint.h>

/** @file
 * halnorm for C99, and for every language that calls C. docs/c_api.md explains how to call it and
 * has an example. Formulas, shapes, dtypes and the aliasing of y and dx are those of
 * halnorm/functional.h; a function here has the name of the function there.
 *
 * Tensors: a DLTensor describes memory that the caller owns; halnorm keeps no pointer to it after
 * the call. shape and strides count elements; strides NULL means contiguous. NULL in the place of
 * a tensor means "none"; each function names the arguments that may be NULL.
 * - devices: kDLCPU, kDLCUDA, kDLOpenCL. dtypes: kDLFloat with 16, 32 or 64 bits, kDLBfloat with
 *   16, and kDLInt with 64 for a count; lanes is 1.
 * - data + byte_offset is a multiple of the element's size. On OpenCL data is a cl_mem.
 *
 * Outputs come last. They are written in place, and have the shape of the result:
 * - y, dx and daddend: x's shape and dtype, any strides.
 * - mean, invstd, m2, sum_dy, sum_dy_xmu: (C) in float64, or in float32, rounded once.
 * - dweight, dbias: (C) in weight's dtype. Without a weight: float64 if x is, otherwise float32.
 * - count: one element on the CPU, float64 or int64.
 * No two outputs of a call may share memory. y may be x or addend itself, dx may be dy itself. The
 * outputs that have one value per channel are written after all inputs were read.
 *
 * Errors: a function that can fail returns a status. Every argument is checked before anything is
 * written, so a failed call has changed nothing. There is one exception: if a kernel fails or
 * memory runs out within the call, the outputs may hold any values. Running statistics keep their
 * values even then, unless a device fails. No C++ exception leaves a function.
 *
 * Threads: any number of threads may call at the same time, if no thread writes a tensor that
 * another one uses.
 */

#if defined(__GNUC__)
/** Exports a function from a shared library. */
#define HALNORM_C_API __attribute__((visibility("default")))
#else
#define HALNORM_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Types have names of C's: NOLINTBEGIN(readability-identifier-naming) */

/** The result of a call. */
typedef enum halnorm_status {
  HALNORM_OK = 0,             /**< success */
  HALNORM_SHAPE_ERROR = 1,    /**< a rank, an extent, a channel count, or memory that overlaps */
  HALNORM_DTYPE_ERROR = 2,    /**< a dtype that is not accepted, or two that do not fit */
  HALNORM_DEVICE_ERROR = 3,   /**< a wrong device, or one that cannot be used */
  HALNORM_VALUE_ERROR = 4,    /**< NULL for a required argument, a value out of range */
  HALNORM_LOAD_ERROR = 5,     /**< a file that cannot be loaded */
  HALNORM_KERNEL_ERROR = 6,   /**< a kernel failed, or there is none */
  HALNORM_OUT_OF_MEMORY = 7,  /**< the host has too little memory */
  HALNORM_INTERNAL_ERROR = 8, /**< any other exception */
} halnorm_status;             /**< the result of a call */

/* ------------------------------------------------------------------------------ the library -- */

/** The message of this thread's latest failed call: the function, the argument, what it got and
 * what it wanted. "" before the first. Valid until the next failed call of the same thread. */
HALNORM_C_API const char* halnorm_last_error(void);

/** "shape error", ...; "unknown status" for any other number. */
HALNORM_C_API const char* halnorm_status_string(halnorm_status status);

/** "major.minor.patch" of the library that is linked. */
HALNORM_C_API const char* halnorm_version(void);

/** Sets the number of threads that one call may use, the calling thread included, at most 256. 0
 * restores the default. */
HALNORM_C_API halnorm_status halnorm_set_num_threads(int threads);
/** The number of threads that one call may use, the calling thread included. */
HALNORM_C_API int halnorm_get_num_threads(void);

/** Makes every later call of the process use the kernels of one target, for example "avx2". NULL
 * or "" restores the default. */
HALNORM_C_API halnorm_status halnorm_force_target(const char* target);

/** The targets that are linked and that this CPU executes, fastest first, separated by commas.
 * Valid until the thread's next call of this function. */
HALNORM_C_API const char* halnorm_targets(void);

/** The name of the kernel that this thread ran last, "" before the first. Valid until the thread's
 * next call of this function. */
HALNORM_C_API const char* halnorm_last_kernel(void);

/** Calls that touch more bytes than this use prefetches and non-temporal stores; 0 means never. The
 * default is the size of the last-level cache, at most 64 MB; halnorm/kernels.h has exceptions. */
HALNORM_C_API halnorm_status halnorm_set_streaming_threshold(int64_t bytes);
/** Restores the default threshold. */
#define HALNORM_DEFAULT_STREAMING_THRESHOLD INT64_MIN

/** Bytes of large blocks that are kept for the library's next temporary tensors; 0 keeps nothing.
 */
HALNORM_C_API halnorm_status halnorm_set_cache_limit(int64_t bytes);
/** Gives back what is kept, of devices too. */
HALNORM_C_API void halnorm_empty_cache(void);

/** One parallel loop of a kernel: tasks 0 to count - 1. */
typedef struct halnorm_parallel_loop halnorm_parallel_loop;
/** Runs every task of a loop once, on any threads and in any order; returns when all have run. */
typedef void (*halnorm_parallel_for)(const halnorm_parallel_loop* loop, void* context);

/** Makes later calls run their parallel loops through run, on the host's threads; run NULL restores
 * halnorm's pool. No other thread may be in a call. run receives context. */
HALNORM_C_API halnorm_status halnorm_set_parallel_for(halnorm_parallel_for run, void* context);
/** The number of tasks of a loop. */
HALNORM_C_API int halnorm_parallel_loop_count(const halnorm_parallel_loop* loop);
/** Runs one task of a loop; see ParallelLoop::run() of halnorm/threads.h. */
HALNORM_C_API void halnorm_parallel_loop_run(const halnorm_parallel_loop* loop, int index);

/** 1 if this build has kernels for the device and a driver that runs them, otherwise 0. */
HALNORM_C_API int halnorm_is_available(DLDeviceType type);
/** Waits until the device has finished all work. Calls on device tensors do not wait. */
HALNORM_C_API halnorm_status halnorm_synchronize(DLDevice device);

/** A CUDA context and stream in use by one thread. */
typedef struct halnorm_cuda_guard halnorm_cuda_guard;
/** Until halnorm_cuda_leave(), the calls of this thread use the given CUcontext and CUstream (NULL:
 * the context's default stream). Guards may be nested. */
HALNORM_C_API halnorm_status halnorm_cuda_enter(void* context, void* stream,
                                                halnorm_cuda_guard** guard);
/** Ends a guard. Each guard is left once, by the thread that entered it, the latest first. */
HALNORM_C_API void halnorm_cuda_leave(halnorm_cuda_guard* guard);
/** Call this before you destroy a context: it waits for the context's work and frees everything
 * that halnorm keeps in the context. */
HALNORM_C_API halnorm_status halnorm_cuda_release(void* context);

/* --------------------------------------------------------------------- batch normalization -- */

/** Means what torch.nn.functional.batch_norm means. With training != 0, or without running
 * statistics, the function normalizes with the batch statistics, and updates running statistics, if
 * given, with *momentum; if momentum is NULL, they stay. Otherwise it normalizes with the running
 * statistics. May be NULL: running_mean and running_var (both or neither), weight, bias, momentum.
 */
HALNORM_C_API halnorm_status halnorm_batch_norm(const DLTensor* x, const DLTensor* running_mean,
                                                const DLTensor* running_var, const DLTensor* weight,
                                                const DLTensor* bias, int training,
                                                const double* momentum, double eps,
                                                const DLTensor* y);

/** y = (x - running_mean) / sqrt(running_var + eps) * weight + bias. May be NULL: weight, bias. */
HALNORM_C_API halnorm_status halnorm_batch_norm_infer(const DLTensor* x,
                                                      const DLTensor* running_mean,
                                                      const DLTensor* running_var,
                                                      const DLTensor* weight, const DLTensor* bias,
                                                      double eps, const DLTensor* y);

/** y = (x - mean) * invstd * weight + bias with the batch's mean and biased variance, and, if
 * running statistics are given, running = (1 - momentum) * running + momentum * batch, in place
 * (batch_norm_train and batch_norm_train_update). May be NULL: weight, bias, running_mean and
 * running_var (both or neither), mean, invstd. */
HALNORM_C_API halnorm_status halnorm_batch_norm_train(const DLTensor* x, const DLTensor* weight,
                                                      const DLTensor* bias,
                                                      const DLTensor* running_mean,
                                                      const DLTensor* running_var, double momentum,
                                                      double eps, const DLTensor* y,
                                                      const DLTensor* mean, const DLTensor* invstd);

/** Gradients of halnorm_batch_norm_train, with its mean and invstd. May be NULL: weight, and any
 * of the outputs but not all. Without dx, halnorm_batch_norm_backward_reduce writes less memory. */
HALNORM_C_API halnorm_status halnorm_batch_norm_backward(
    const DLTensor* dy, const DLTensor* x, const DLTensor* weight, const DLTensor* mean,
    const DLTensor* invstd, const DLTensor* dx, const DLTensor* dweight, const DLTensor* dbias);

/** Gradients of halnorm_batch_norm_infer. May be NULL: as in halnorm_batch_norm_backward. */
HALNORM_C_API halnorm_status halnorm_batch_norm_backward_infer(
    const DLTensor* dy, const DLTensor* x, const DLTensor* weight, const DLTensor* running_mean,
    const DLTensor* running_var, double eps, const DLTensor* dx, const DLTensor* dweight,
    const DLTensor* dbias);

/* --------------------------------------------- split forms, for statistics over processes -- */

/** Count, mean and sum of squared deviations of each channel. May be NULL: any output but not all.
 */
HALNORM_C_API halnorm_status halnorm_batch_norm_moments(const DLTensor* x, const DLTensor* count,
                                                        const DLTensor* mean, const DLTensor* m2);

/** The moments of the union of two batches. Outputs may be inputs themselves. May be NULL: any
 * output but not all. */
HALNORM_C_API halnorm_status halnorm_merge(const DLTensor* count_a, const DLTensor* mean_a,
                                           const DLTensor* m2_a, const DLTensor* count_b,
                                           const DLTensor* mean_b, const DLTensor* m2_b,
                                           const DLTensor* count, const DLTensor* mean,
                                           const DLTensor* m2);

/** running = (1 - factor) * running + factor * batch, in place; the variance is unbiased. */
HALNORM_C_API halnorm_status halnorm_update_running_stats(const DLTensor* running_mean,
                                                          const DLTensor* running_var,
                                                          const DLTensor* count,
                                                          const DLTensor* mean, const DLTensor* m2,
                                                          double factor);

/** y = (x - mean) * invstd * weight + bias. May be NULL: weight, bias. */
HALNORM_C_API halnorm_status halnorm_batch_norm_elemt(const DLTensor* x, const DLTensor* weight,
                                                      const DLTensor* bias, const DLTensor* mean,
                                                      const DLTensor* invstd, const DLTensor* y);

/** Folds a batch normalization in eval mode into the convolution before it; transpose is 0 or 1.
 * weight and bias have conv_w's dtype. May be NULL: conv_b, bn_w, bn_b, and one of the outputs. */
HALNORM_C_API halnorm_status halnorm_fuse_conv_bn_weights(
    const DLTensor* conv_w, const DLTensor* conv_b, const DLTensor* bn_rm, const DLTensor* bn_rv,
    double bn_eps, const DLTensor* bn_w, const DLTensor* bn_b, int transpose,
    const DLTensor* weight, const DLTensor* bias);

/** Folds a batch normalization in eval mode into the linear layer before it. May be NULL: as in
 * halnorm_fuse_conv_bn_weights. */
HALNORM_C_API halnorm_status halnorm_fuse_linear_bn_weights(
    const DLTensor* linear_w, const DLTensor* linear_b, const DLTensor* bn_rm,
    const DLTensor* bn_rv, double bn_eps, const DLTensor* bn_w, const DLTensor* bn_b,
    const DLTensor* weight, const DLTensor* bias);

/** The sums of a backward pass, sum(dy) and sum(dy * (x - mean)), and dweight and dbias from them.
 * May be NULL: weight, and any of the outputs but not all. */
HALNORM_C_API halnorm_status halnorm_batch_norm_backward_reduce(
    const DLTensor* dy, const DLTensor* x, const DLTensor* mean, const DLTensor* invstd,
    const DLTensor* weight, const DLTensor* sum_dy, const DLTensor* sum_dy_xmu,
    const DLTensor* dweight, const DLTensor* dbias);

/** dx from the sums of a backward pass over count values per channel. May be NULL: weight. */
HALNORM_C_API halnorm_status halnorm_batch_norm_backward_elemt(
    const DLTensor* dy, const DLTensor* x, const DLTensor* mean, const DLTensor* invstd,
    const DLTensor* weight, const DLTensor* sum_dy, const DLTensor* sum_dy_xmu,
    const DLTensor* count, const DLTensor* dx);

/* --------------------------------------------------- fused: y = relu(batch_norm(x) + addend) -- */

/** y = relu(batch_norm(x) + addend) with running statistics. May be NULL: addend, weight, bias. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_infer(
    const DLTensor* x, const DLTensor* addend, const DLTensor* running_mean,
    const DLTensor* running_var, const DLTensor* weight, const DLTensor* bias, double eps,
    const DLTensor* y);

/** y = relu(batch_norm(x) + addend) with batch statistics; running statistics, if given, are
 * updated. May be NULL: addend, and as in halnorm_batch_norm_train. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_train(
    const DLTensor* x, const DLTensor* addend, const DLTensor* weight, const DLTensor* bias,
    const DLTensor* running_mean, const DLTensor* running_var, double momentum, double eps,
    const DLTensor* y, const DLTensor* mean, const DLTensor* invstd);

/** Gradients of halnorm_batch_norm_fused_train, with its y, mean and invstd. May be NULL: weight,
 * and any of the outputs but not all. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_backward(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* mean, const DLTensor* invstd, const DLTensor* dx, const DLTensor* daddend,
    const DLTensor* dweight, const DLTensor* dbias);

/** Gradients of halnorm_batch_norm_fused_infer, with its y. May be NULL: as in
 * halnorm_batch_norm_fused_backward. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_backward_infer(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias);

/** halnorm_batch_norm_fused_infer with relu(v) = v < 0 ? slope * v : v; slope: at least 0. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_infer_leaky(
    const DLTensor* x, const DLTensor* addend, const DLTensor* running_mean,
    const DLTensor* running_var, const DLTensor* weight, const DLTensor* bias, double eps,
    double slope, const DLTensor* y);

/** halnorm_batch_norm_fused_train with a slope. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_train_leaky(
    const DLTensor* x, const DLTensor* addend, const DLTensor* weight, const DLTensor* bias,
    const DLTensor* running_mean, const DLTensor* running_var, double momentum, double eps,
    double slope, const DLTensor* y, const DLTensor* mean, const DLTensor* invstd);

/** halnorm_batch_norm_fused_backward with the forward's slope. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_backward_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* mean, const DLTensor* invstd, double slope, const DLTensor* dx,
    const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias);

/** halnorm_batch_norm_fused_backward_infer with the forward's slope. */
HALNORM_C_API halnorm_status halnorm_batch_norm_fused_backward_infer_leaky(
    const DLTensor* dy, const DLTensor* x, const DLTensor* y, const DLTensor* weight,
    const DLTensor* running_mean, const DLTensor* running_var, double eps, double slope,
    const DLTensor* dx, const DLTensor* daddend, const DLTensor* dweight, const DLTensor* dbias);

/* NOLINTEND(readability-identifier-naming) */

#ifdef __cplusplus
}
#endif
