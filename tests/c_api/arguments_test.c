#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "problem.h"

/* Every way in which an argument can be wrong: the status, the message, and that nothing changed.
 */

static struct Problem* p;

static halnorm_status infer(const DLTensor* x, const DLTensor* mean, const DLTensor* y) {
  return halnorm_batch_norm_infer(x, mean, &p->running_var->t, &p->weight->t, &p->bias->t, eps, y);
}

static halnorm_status train(const DLTensor* y, const DLTensor* mean, const DLTensor* invstd) {
  return halnorm_batch_norm_train(&p->x->t, &p->weight->t, &p->bias->t, &p->running_mean->t,
                                  &p->running_var->t, 0.5, eps, y, mean, invstd);
}

static halnorm_status backward(const DLTensor* dx, const DLTensor* dweight, const DLTensor* dbias) {
  return halnorm_batch_norm_backward(&p->dy->t, &p->x->t, &p->weight->t, &p->mean->t, &p->invstd->t,
                                     dx, dweight, dbias);
}

static void null_arguments(void) {
  const DLTensor* x = &p->x->t;
  const DLTensor* c = &p->mean->t;
  const halnorm_status bad = HALNORM_VALUE_ERROR;
  const char* null = "is NULL, wanted a tensor";
  CHECK_ERROR(infer(NULL, c, &p->y->t), bad, "halnorm_batch_norm_infer: x ", null, NULL);
  CHECK_ERROR(infer(x, NULL, &p->y->t), bad, "running_mean ", null, NULL);
  CHECK_ERROR(infer(x, c, NULL), bad, "y ", null, NULL);
  CHECK_ERROR(train(NULL, c, c), bad, "halnorm_batch_norm_train: y ", null, NULL);
  CHECK_ERROR(halnorm_batch_norm_train(x, NULL, NULL, c, NULL, 0, eps, &p->y->t, NULL, NULL), bad,
              "NULL for running_var alone", "NULL for both", NULL);
  CHECK_ERROR(halnorm_batch_norm(x, NULL, c, NULL, NULL, 1, NULL, eps, &p->y->t), bad,
              "halnorm_batch_norm: ", "NULL for running_mean alone", NULL);
  CHECK_ERROR(halnorm_batch_norm_backward(NULL, x, NULL, c, c, x, NULL, NULL), bad, "dy ", null,
              NULL);
  CHECK_ERROR(halnorm_batch_norm_moments(x, NULL, NULL, NULL), bad, "count, mean, m2", NULL, NULL);
  CHECK_ERROR(halnorm_merge(NULL, c, c, c, c, c, NULL, c, NULL), bad, "count_a", null, NULL);
  CHECK_ERROR(halnorm_batch_norm_elemt(x, NULL, NULL, c, NULL, x), bad, "invstd ", null, NULL);
  CHECK_ERROR(halnorm_batch_norm_backward_reduce(x, x, c, c, NULL, NULL, NULL, NULL, NULL), bad,
              "sum_dy, sum_dy_xmu, dweight, dbias", NULL, NULL);
  CHECK_ERROR(halnorm_batch_norm_backward_elemt(x, x, c, c, NULL, c, c, NULL, x), bad, "count ",
              null, NULL);
  CHECK_ERROR(halnorm_batch_norm_fused_infer(x, NULL, c, c, NULL, NULL, eps, NULL), bad, "y ", null,
              NULL);
  CHECK_ERROR(halnorm_batch_norm_fused_infer_leaky(x, NULL, &p->running_mean->t, &p->running_var->t,
                                                   NULL, NULL, eps, -0.5, &p->y->t),
              bad, "slope is -0.5", "at least 0", NULL);
  CHECK_ERROR(halnorm_batch_norm_fused_backward(x, x, NULL, NULL, c, c, x, NULL, NULL, NULL), bad,
              "halnorm_batch_norm_fused_backward: y ", null, NULL);
  CHECK_ERROR(halnorm_batch_norm_fused_backward(x, x, x, NULL, c, c, NULL, NULL, NULL, NULL), bad,
              "dx, daddend, dweight, dbias", NULL, NULL);
  CHECK_ERROR(halnorm_update_running_stats(c, NULL, c, c, c, 0), bad, "running_var ", null, NULL);
}

static void descriptions(void) {
  DLTensor x = p->x->t;
  int64_t negative[3] = {N, -C, L};
  int64_t huge[3] = {INT64_MAX / 2, C, L};
  x.ndim = -1;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_SHAPE_ERROR, "x has ndim -1", "0 to 64",
              NULL);
  x.ndim = 65;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_SHAPE_ERROR, "x has ndim 65", NULL, NULL);
  x.ndim = 3;
  x.shape = NULL;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_VALUE_ERROR, "x has ndim 3",
              "the shape NULL", "wanted 3 extents");
  x.shape = negative;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_SHAPE_ERROR,
              "halnorm_batch_norm_infer: x: got shape (6, -5, 7)", "at least 0", NULL);
  x.shape = huge;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_SHAPE_ERROR, "63 bits", NULL, NULL);
  x = p->x->t;
  x.ndim = 1;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_SHAPE_ERROR, "x has shape (6,)",
              "(N, C) or (N, C, L)", NULL);
  x = p->x->t;
  x.data = NULL;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_VALUE_ERROR, "x has the data NULL", NULL,
              NULL);
  x = p->x->t;
  x.byte_offset += 2;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_VALUE_ERROR, "byte_offset",
              "wanted a multiple of its elements' 4 bytes", NULL);
  x.byte_offset = UINT64_MAX - 3;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_VALUE_ERROR, "x has data", NULL, NULL);
}

static void dtype(int code, int bits, int lanes) {
  DLTensor x = p->x->t;
  x.dtype.code = (uint8_t)code;
  x.dtype.bits = (uint8_t)bits;
  x.dtype.lanes = (uint16_t)lanes;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_DTYPE_ERROR, "halnorm_batch_norm_infer: x ",
              "wanted float", NULL);
}

static void dtypes(void) {
  struct Array* narrow = channels_new(f16, DENSE, C);
  struct Array* wide = channels_new(f64, DENSE, C);
  dtype(kDLFloat, 8, 1);
  dtype(kDLFloat, 32, 2);
  dtype(kDLFloat, 32, 0);
  dtype(kDLBfloat, 32, 1);
  dtype(kDLInt, 32, 1);
  dtype(kDLInt, 64, 1); /* a dtype of counts, not of data */
  dtype(kDLUInt, 64, 1);
  dtype(200, 255, 1);
  CHECK_ERROR(train(&p->y->t, &narrow->t, NULL), HALNORM_DTYPE_ERROR, "mean is float16",
              "wanted float64 or float32", NULL);
  CHECK_ERROR(backward(&p->dx->t, &wide->t, NULL), HALNORM_DTYPE_ERROR, "dweight is float64",
              "wanted float32", NULL);
  CHECK_ERROR(backward(&p->dx->t, NULL, &narrow->t), HALNORM_DTYPE_ERROR, "dbias is float16", NULL,
              NULL);
  array_free(narrow);
  array_free(wide);
}

static void device(int type, int id) {
  DLTensor x = p->x->t;
  x.device.device_type = (DLDeviceType)type;
  x.device.device_id = id;
  CHECK_ERROR(infer(&x, &p->mean->t, &p->y->t), HALNORM_DEVICE_ERROR, "halnorm_batch_norm_infer: x",
              "wanted", NULL);
}

static void devices(void) {
  device(0, 0);
  device(kDLCPU, 1);
  device(kDLMetal, 0);
  device(999, 0);
  device(-1, 0);
}

static void output_shapes(void) {
  struct Array* longer = channels_new(f64, DENSE, C + 1);
  struct Array* two = scalar_new(f64, 0);
  int64_t extents[2] = {2, 1};
  CHECK_ERROR(train(&p->y->t, &longer->t, NULL), HALNORM_SHAPE_ERROR, "mean has shape (6,)",
              "wanted (5,)", NULL);
  CHECK_ERROR(train(&p->mean->t, NULL, NULL), HALNORM_SHAPE_ERROR, "train: y has shape (5,)",
              "wanted (6, 5, 7)", NULL);
  CHECK_ERROR(backward(&p->mean->t, NULL, NULL), HALNORM_SHAPE_ERROR, "backward: dx has shape",
              NULL, NULL);
  CHECK_ERROR(halnorm_batch_norm_fused_backward(&p->dy->t, &p->x->t, &p->y->t, NULL, &p->mean->t,
                                                &p->invstd->t, NULL, &p->mean->t, NULL, NULL),
              HALNORM_SHAPE_ERROR, "daddend has shape (5,)", "wanted (6, 5, 7)", NULL);
  two->t.ndim = 2;
  two->t.shape = extents;
  CHECK_ERROR(halnorm_batch_norm_moments(&p->x->t, &two->t, NULL, NULL), HALNORM_SHAPE_ERROR,
              "count has shape (2, 1)", "one element", NULL);
  CHECK_ERROR(halnorm_merge(&p->mean->t, &p->x->t, &p->mean->t, &two->t, &longer->t, &longer->t,
                            NULL, &longer->t, NULL),
              HALNORM_SHAPE_ERROR, "mean_a has 3 axes", NULL, NULL);
  array_free(longer);
  array_free(two);
}

static void overlaps(void) {
  DLTensor repeated = p->mean->t;
  DLTensor shifted = p->x->t;
  int64_t zero = 0;
  int64_t fewer[3] = {N - 1, C, L};
  DLTensor x = p->x->t;
  CHECK_ERROR(train(&p->y->t, &p->mean->t, &p->mean->t), HALNORM_SHAPE_ERROR,
              "mean and invstd overlap", NULL, NULL);
  CHECK_ERROR(train(&p->y->t, &p->running_mean->t, NULL), HALNORM_SHAPE_ERROR,
              "running_mean and mean overlap", NULL, NULL);
  CHECK_ERROR(backward(NULL, &p->dbias->t, &p->dbias->t), HALNORM_SHAPE_ERROR,
              "dweight and dbias overlap", NULL, NULL);
  repeated.strides = &zero;
  CHECK_ERROR(train(&p->y->t, &repeated, NULL), HALNORM_SHAPE_ERROR, "mean has shape (5,)",
              "a place of its own", NULL);
  x.shape = fewer;
  shifted.shape = fewer;
  shifted.byte_offset += 4;
  CHECK_ERROR(infer(&x, &p->running_mean->t, &shifted), HALNORM_SHAPE_ERROR,
              "halnorm_batch_norm_infer: y overlaps an input", NULL, NULL);
}

static void numbers(void) {
  CHECK_ERROR(
      halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, -1, &p->y->t, NULL, NULL),
      HALNORM_VALUE_ERROR, "halnorm_batch_norm_train: eps is -1.0", NULL, NULL);
  CHECK_ERROR(halnorm_batch_norm_train(&p->x->t, NULL, NULL, &p->running_mean->t,
                                       &p->running_var->t, NAN, eps, &p->y->t, NULL, NULL),
              HALNORM_VALUE_ERROR, "halnorm_batch_norm_train: momentum is nan", NULL, NULL);
  CHECK_ERROR(
      halnorm_batch_norm_fused_train(&p->x->t, NULL, NULL, NULL, &p->running_mean->t,
                                     &p->running_var->t, INFINITY, eps, &p->y->t, NULL, NULL),
      HALNORM_VALUE_ERROR, "halnorm_batch_norm_fused_train: momentum is inf", NULL, NULL);
  struct Array* count = scalar_new(f64, 8);
  struct Array* stat = channels_new(f64, DENSE, C);
  CHECK_ERROR(halnorm_update_running_stats(&p->running_mean->t, &p->running_var->t, &count->t,
                                           &stat->t, &stat->t, NAN),
              HALNORM_VALUE_ERROR, "halnorm_update_running_stats: factor is nan", NULL, NULL);
  CHECK_ERROR(halnorm_update_running_stats(&p->running_mean->t, &p->running_var->t, &count->t,
                                           &p->x->t, &stat->t, 0),
              HALNORM_SHAPE_ERROR, "halnorm_update_running_stats: mean should", NULL, NULL);
  array_free(count);
  array_free(stat);
}

static void run_all(void) {
  null_arguments();
  descriptions();
  dtypes();
  devices();
  output_shapes();
  overlaps();
  numbers();
}

void test_arguments(void) {
  p = problem_new(f32, DENSE);
  struct Array* all[] = {p->x,       p->dy,           p->y,           p->dx,   p->daddend,
                         p->weight,  p->running_mean, p->running_var, p->mean, p->invstd,
                         p->dweight, p->dbias};
  enum { COUNT = sizeof all / sizeof all[0] };
  unsigned char* before[COUNT];
  for (int i = 0; i < COUNT; ++i) {
    before[i] = malloc(all[i]->bytes);
    memcpy(before[i], all[i]->memory, all[i]->bytes);
  }
  run_all();
  for (int i = 0; i < COUNT; ++i) {
    CHECK(memcmp(before[i], all[i]->memory, all[i]->bytes) == 0);
    free(before[i]);
  }
  problem_free(p);
}
