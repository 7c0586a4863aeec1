#ifndef HALNORM_KERNEL_RUNTIME_H
#define HALNORM_KERNEL_RUNTIME_H

#include <HalideRuntime.h>

/* For programs, in C or C++, that call generated kernels by name: the settings of the Halide
 * runtime that the kernels use. It is private to halnorm. Each function means what Halide's
 * function without the prefix halnorm_ means, and a Halide pipeline of the program's own does not
 * see it. A program that also calls the C++ library leaves these settings to it. */

#ifdef __cplusplus
extern "C" {
#endif

/* Without a handler an error ends the process; with one the kernel returns its code. */
halide_error_handler_t halnorm_halide_set_error_handler(halide_error_handler_t handler);

/* 0 stands for Halide's default. Returns the previous number. */
int halnorm_halide_set_num_threads(int threads);
halide_do_par_for_t halnorm_halide_set_custom_do_par_for(halide_do_par_for_t run);

/* Memory for a call's temporary values, aligned as HalideRuntime.h says. */
halide_malloc_t halnorm_halide_set_custom_malloc(halide_malloc_t allocate);
halide_free_t halnorm_halide_set_custom_free(halide_free_t release);

#ifdef __cplusplus
}
#endif

#endif
