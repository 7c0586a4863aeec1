/* Inference through the C interface, on memory of our own: the example of docs/c_api.md. */

#include <math.h>

/* c_api begins */
#include <halnorm/halnorm_c.h>
#include <stdio.h>

static DLTensor tensor(float* data, int ndim, int64_t* shape) {
  const DLDevice cpu = {kDLCPU, 0};
  const DLDataType f32 = {kDLFloat, 32, 1};
  const DLTensor t = {data, cpu, ndim, f32, shape, NULL, 0};
  return t;
}

int main(void) {
  float x_data[] = {1, 10, 3, 30}, mean_data[] = {2, 20}, var_data[] = {4, 400}, y_data[4];
  int64_t shape[] = {2, 2}, channels[] = {2};
  const DLTensor x = tensor(x_data, 2, shape), y = tensor(y_data, 2, shape);
  const DLTensor mean = tensor(mean_data, 1, channels), var = tensor(var_data, 1, channels);
  if (halnorm_batch_norm_infer(&x, &mean, &var, NULL, NULL, 1e-5, &y) != HALNORM_OK) {
    fprintf(stderr, "%s\n", halnorm_last_error());
    return 1;
  }
  printf("%.3f %.3f %.3f %.3f\n", y_data[0], y_data[1], y_data[2], y_data[3]);
  /* c_api ends */
  return fabsf(y_data[0] + 0.5f) < 1e-4f && fabsf(y_data[3] - 0.5f) < 1e-4f ? 0 : 1;
}
