/* Calls one generated kernel by name: mean and sum of squared deviations of two channels. */

#include <halnorm/kernel_runtime.h>
#include <math.h>
#include <stdio.h>

#include KERNEL_HEADER

static int wrong(const char* what, const double* got, double first, double second) {
  if (fabs(got[0] - first) <= 1e-14 * first && fabs(got[1] - second) <= 1e-14 * second) {
    return 0;
  }
  fprintf(stderr, "%s is %.17g, %.17g and not %g, %g\n", what, got[0], got[1], first, second);
  return 1;
}

static void keep_going(void* user_context, const char* message) {
  (void)user_context;
  fprintf(stderr, "refused: %s\n", message);
}

static void* no_memory(void* user_context, size_t bytes) {
  (void)user_context;
  (void)bytes;
  return NULL;
}

int main(void) {
  float x[] = {1, 10, 2, 20, 3, 30, 6, 40};
  double mean[2], m2[2];
  struct halide_dimension_t x_axes[] = {{0, 2, 1, 0}, {0, 4, 2, 0}};
  struct halide_dimension_t axis = {0, 2, 1, 0};
  const struct halide_type_t f32 = {halide_type_float, 32, 1};
  const struct halide_type_t f64 = {halide_type_float, 64, 1};
  struct halide_buffer_t x_buffer = {
      .host = (uint8_t*)x, .type = f32, .dimensions = 2, .dim = x_axes};
  struct halide_buffer_t mean_buffer = {
      .host = (uint8_t*)mean, .type = f64, .dimensions = 1, .dim = &axis};
  struct halide_buffer_t m2_buffer = {
      .host = (uint8_t*)m2, .type = f64, .dimensions = 1, .dim = &axis};

  if (KERNEL(&x_buffer, &mean_buffer, &m2_buffer) != 0) {
    fprintf(stderr, "the kernel failed\n");
    return 1;
  }
  int failures = wrong("mean", mean, 3, 25) + wrong("m2", m2, 14, 500);

  /* The kernel does not check its buffers; it reports failures while it runs. */
  halnorm_halide_set_error_handler(keep_going);
  halnorm_halide_set_custom_malloc(no_memory);
  if (KERNEL(&x_buffer, &mean_buffer, &m2_buffer) == 0) {
    fprintf(stderr, "the kernel has taken memory that there was not\n");
    ++failures;
  }
  return failures;
}
