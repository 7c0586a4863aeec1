#include <math.h>

#include "check.h"
#include "problem.h"

/* Views that the other suites do not have: ranks, no elements, columns of one table. */

static struct Truth t;

/* (N, C, a, b) is (N, C, L): the same memory with another shape. */
static void other_ranks(struct Problem* p) {
  const int64_t four[4] = {N, C, L, 1};
  int64_t shape[4];
  DLTensor x = p->x->t;
  DLTensor y = p->y->t;
  for (int axis = 0; axis < 4; ++axis) {
    shape[axis] = four[axis];
  }
  x.ndim = y.ndim = 4;
  x.shape = y.shape = shape;
  truth_of(p, 1, 0, &t);
  CHECK_OK(
      halnorm_batch_norm_train(&x, &p->weight->t, &p->bias->t, NULL, NULL, 0, eps, &y, NULL, NULL));
  CHECK(array_difference(p->y, t.y) <= data_tolerance(p, &t));
}

/* x of (N * L, C): its layout has channels innermost. */
static void two_axes(void) {
  struct Problem* p = problem_new(f32, LAST);
  int64_t shape[2] = {M, C};
  DLTensor x = p->x->t;
  DLTensor y = p->y->t;
  x.ndim = y.ndim = 2;
  x.shape = y.shape = shape;
  x.strides = y.strides = NULL;
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_train(&x, &p->weight->t, &p->bias->t, NULL, NULL, 0, eps, &y,
                                    &p->mean->t, NULL));
  CHECK(array_difference(p->y, t.y) <= data_tolerance(p, &t));
  CHECK(array_difference(p->mean, t.mean) <= statistic_tolerance(p));
  problem_free(p);
}

/* No elements: data may be NULL, statistics are 0. */
static void no_elements(void) {
  struct Array* mean = channels_new(f64, DENSE, C);
  struct Array* count = scalar_new(i64, -1);
  struct Array* x = array_new(f32, DENSE, 3, 0, C, L);
  array_fill(mean, NAN);
  x->t.data = NULL;
  CHECK_OK(halnorm_batch_norm_train(&x->t, NULL, NULL, NULL, NULL, 0, eps, &x->t, &mean->t, NULL));
  CHECK(array_get(mean, 0) == 0 && array_get(mean, C - 1) == 0);
  CHECK_OK(halnorm_batch_norm_moments(&x->t, &count->t, NULL, NULL));
  CHECK(array_get(count, 0) == 0);
  array_free(mean);
  array_free(count);
  array_free(x);
}

/* mean and invstd side by side, as columns of a (C, 2) table. */
static void interleaved(void) {
  struct Problem* p = problem_new(f32, DENSE);
  double table[C][2];
  int64_t stride = 2;
  DLTensor mean = p->mean->t;
  DLTensor invstd = p->mean->t;
  mean.data = invstd.data = table;
  mean.strides = invstd.strides = &stride;
  invstd.byte_offset = sizeof(double);
  truth_of(p, 1, 0, &t);
  CHECK_OK(
      halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, eps, &p->y->t, &mean, &invstd));
  for (int c = 0; c < C; ++c) {
    CHECK(fabs(table[c][0] - t.mean[c]) <= statistic_tolerance(p));
    CHECK(fabs(table[c][1] - t.invstd[c]) <= statistic_tolerance(p));
  }
  problem_free(p);
}

/* dweight replaces weight: outputs of one value per channel are written last. */
static void over_an_input(void) {
  struct Problem* p = problem_new(f32, DENSE);
  truth_of(p, 1, 0, &t);
  array_set_all(p->mean, t.mean);
  array_set_all(p->invstd, t.invstd);
  CHECK_OK(halnorm_batch_norm_backward(&p->dy->t, &p->x->t, &p->weight->t, &p->mean->t,
                                       &p->invstd->t, &p->dx->t, &p->weight->t, &p->dbias->t));
  CHECK(array_difference(p->dx, t.dx) <= data_tolerance(p, &t));
  CHECK(array_difference(p->weight, t.dweight) <= sum_tolerance(p));
  problem_free(p);
}

/* The gradients of a 16-bit weight have 16 bits. */
static void narrow_weight(void) {
  struct Problem* p = problem_new(f16, DENSE);
  struct Array* weight = channels_new(bf16, GAPS, C);
  struct Array* dweight = channels_new(bf16, GAPS, C);
  struct Array* dbias = channels_new(bf16, DENSE, C);
  array_fill(weight, 1);
  truth_of(p, 1, 0, &t);
  array_set_all(p->mean, t.mean);
  array_set_all(p->invstd, t.invstd);
  CHECK_OK(halnorm_batch_norm_backward(&p->dy->t, &p->x->t, &weight->t, &p->mean->t, &p->invstd->t,
                                       NULL, &dweight->t, &dbias->t));
  for (int c = 0; c < C; ++c) {
    CHECK(fabs(array_get(dweight, c) - t.dweight[c]) <= fabs(t.dweight[c]) * 0x1.1p-8);
    CHECK(fabs(array_get(dbias, c) - t.dbias[c]) <= fabs(t.dbias[c]) * 0x1.1p-8);
  }
  CHECK(array_gaps_intact(dweight));
  array_free(weight);
  array_free(dweight);
  array_free(dbias);
  problem_free(p);
}

void test_tensors(void) {
  struct Problem* p = problem_new(f32, DENSE);
  other_ranks(p);
  problem_free(p);
  two_axes();
  no_elements();
  interleaved();
  over_an_input();
  narrow_weight();
}
