#ifndef HALNORM_KERNEL_RUNTIME_H
#define HALNORM_KERNEL_RUNTIME_H

#include <HalideRuntime.h>

/** @file
 * Settings of the kernels' Halide runtime, for C and C++ programs that call kernels by name. This
 * runtime is private to halnorm: a Halide pipeline of the program has its own. Each function means
 * what Halide's function without the prefix halnorm_ means. A program that also calls the C++
 * library must not use these functions, because the library sets them. */

#ifdef __cplusplus
extern "C" {
#endif

/** Sets the error handler and returns the previous one. With the default handler an error aborts
 * the process; with another handler the kernel returns its error code. */
halide_error_handler_t halnorm_halide_set_error_handler(halide_error_handler_t handler);

/** Sets the number of threads of Halide's pool and returns the previous number. 0 means Halide's
 * default. */
int halnorm_halide_set_num_threads(int threads);
/** Sets the function that runs parallel loops, and returns the previous one. */
halide_do_par_for_t halnorm_halide_set_custom_do_par_for(halide_do_par_for_t run);

/** Sets the function that allocates the workspace of a call, or the one that frees it, and returns
 * the previous one. HalideRuntime.h states the alignment. */
/**@{*/
halide_malloc_t halnorm_halide_set_custom_malloc(halide_malloc_t allocate);
halide_free_t halnorm_halide_set_custom_free(halide_free_t release);
/**@}*/

#ifdef __cplusplus
}
#endif

#endif
