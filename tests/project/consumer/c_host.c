/* Calls the installed library from C: a moment of two channels, and an error. */

#include <halnorm/halnorm_c.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const DLDevice cpu = {kDLCPU, 0};
  const DLDataType f32 = {kDLFloat, 32, 1};
  const DLDataType f64 = {kDLFloat, 64, 1};
  float values[] = {1, 10, 2, 20, 3, 30, 6, 40};
  double means[2] = {0, 0};
  int64_t shape[] = {4, 2};
  int64_t channels[] = {2};
  const DLTensor x = {values, cpu, 2, f32, shape, NULL, 0};
  const DLTensor mean = {means, cpu, 1, f64, channels, NULL, 0};

  if (halnorm_batch_norm_moments(&x, NULL, &mean, NULL) != HALNORM_OK) {
    fprintf(stderr, "%s\n", halnorm_last_error());
    return 1;
  }
  if (means[0] != 3 || means[1] != 25) {
    fprintf(stderr, "the means are %g and %g, not 3 and 25\n", means[0], means[1]);
    return 1;
  }
  if (halnorm_batch_norm_moments(NULL, NULL, &mean, NULL) != HALNORM_VALUE_ERROR ||
      strstr(halnorm_last_error(), "x is NULL") == NULL) {
    fprintf(stderr, "no tensor was not refused\n");
    return 1;
  }
  return 0;
}
