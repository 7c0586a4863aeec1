#include <math.h>

#include "check.h"
#include "problem.h"

static struct Truth t;

/* The first rows of a batch, or the rest, in the same memory. */
static DLTensor rows(struct Array* a, int64_t shape[3], int64_t first, int64_t count) {
  DLTensor part = a->t;
  shape[0] = count;
  shape[1] = a->shape[1];
  shape[2] = a->shape[2];
  part.shape = shape;
  part.byte_offset += (uint64_t)(first * a->strides[0] * (part.dtype.bits / 8));
  return part;
}

/* Moments of two parts, merged in place, are those of the whole. */
static void moments(struct Problem* p) {
  int64_t shapes[2][3];
  const DLTensor part_a = rows(p->x, shapes[0], 0, 2);
  const DLTensor part_b = rows(p->x, shapes[1], 2, N - 2);
  struct Array* count = scalar_new(i64, -1);
  struct Array* count_b = scalar_new(f64, -1);
  struct Array* m2 = channels_new(f64, GAPS, C);
  struct Array* mean_b = channels_new(f64, DENSE, C);
  struct Array* m2_b = channels_new(f64, DENSE, C);
  CHECK_OK(halnorm_batch_norm_moments(&part_a, &count->t, &p->mean->t, &m2->t));
  CHECK(array_get(count, 0) == 2 * L);
  CHECK_OK(halnorm_batch_norm_moments(&part_b, &count_b->t, &mean_b->t, NULL));
  CHECK_OK(halnorm_batch_norm_moments(&part_b, NULL, NULL, &m2_b->t));
  CHECK(array_get(count_b, 0) == (N - 2) * L);
  CHECK_OK(halnorm_merge(&count->t, &p->mean->t, &m2->t, &count_b->t, &mean_b->t, &m2_b->t,
                         &count->t, &p->mean->t, &m2->t));
  CHECK(array_get(count, 0) == M);
  CHECK(array_difference(p->mean, t.mean) <= statistic_tolerance(p));
  CHECK(array_difference(m2, t.m2) <= sum_tolerance(p));
  CHECK_OK(halnorm_update_running_stats(&p->running_mean->t, &p->running_var->t, &count->t,
                                        &p->mean->t, &m2->t, 0.5));
  for (int c = 0; c < C; ++c) {
    const double mean = 0.5 * p->mean_values[c] + 0.5 * t.mean[c];
    const double var = 0.5 * p->var_values[c] + 0.5 * t.m2[c] / (M - 1);
    CHECK(fabs(array_get(p->running_mean, c) - mean) <= statistic_tolerance(p));
    CHECK(fabs(array_get(p->running_var, c) - var) <= 4 * statistic_tolerance(p));
  }
  CHECK(array_gaps_intact(m2));
  array_free(count);
  array_free(count_b);
  array_free(m2);
  array_free(mean_b);
  array_free(m2_b);
}

static void elemt(struct Problem* p) {
  array_set_all(p->mean, t.mean);
  array_set_all(p->invstd, t.invstd);
  CHECK_OK(halnorm_batch_norm_elemt(&p->x->t, &p->weight->t, &p->bias->t, &p->mean->t,
                                    &p->invstd->t, &p->y->t));
  CHECK(array_difference(p->y, t.y) <= data_tolerance(p, &t));
}

static void backward(struct Problem* p) {
  struct Array* sum_dy = channels_new(f64, GAPS, C);
  struct Array* sum_dy_xmu = channels_new(f64, DENSE, C);
  struct Array* count = scalar_new(f64, M);
  CHECK_OK(halnorm_batch_norm_backward_reduce(&p->dy->t, &p->x->t, &p->mean->t, &p->invstd->t,
                                              &p->weight->t, &sum_dy->t, &sum_dy_xmu->t,
                                              &p->dweight->t, &p->dbias->t));
  CHECK(array_difference(sum_dy, t.sum_dy) <= sum_tolerance(p));
  CHECK(array_difference(sum_dy_xmu, t.sum_dy_xmu) <= sum_tolerance(p));
  CHECK(array_difference(p->dweight, t.dweight) <= sum_tolerance(p));
  CHECK(array_difference(p->dbias, t.dbias) <= sum_tolerance(p));
  CHECK_OK(halnorm_batch_norm_backward_elemt(&p->dy->t, &p->x->t, &p->mean->t, &p->invstd->t,
                                             &p->weight->t, &sum_dy->t, &sum_dy_xmu->t, &count->t,
                                             &p->dx->t));
  CHECK(array_difference(p->dx, t.dx) <= data_tolerance(p, &t));
  CHECK(array_gaps_intact(sum_dy));
  array_free(sum_dy);
  array_free(sum_dy_xmu);
  array_free(count);
}

static void all(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  moments(p);
  elemt(p);
  backward(p);
}

/* A count that is no whole number, and one of no values. */
static void counts(void) {
  struct Array* half = scalar_new(f64, 2.5);
  struct Array* none = scalar_new(i64, 0);
  struct Array* out = scalar_new(f64, -1);
  struct Array* a = channels_new(f64, DENSE, 2);
  struct Array* b = channels_new(f64, DENSE, 2);
  array_fill(a, 3);
  array_fill(b, NAN);
  CHECK_ERROR(halnorm_merge(&half->t, &a->t, &a->t, &none->t, &b->t, &b->t, &out->t, NULL, NULL),
              HALNORM_VALUE_ERROR, "halnorm_merge: count_a is 2.5", "whole number", NULL);
  CHECK_ERROR(halnorm_merge(&none->t, &a->t, &a->t, &half->t, &b->t, &b->t, &out->t, NULL, NULL),
              HALNORM_VALUE_ERROR, "halnorm_merge: count_b is 2.5", NULL, NULL);
  CHECK_ERROR(halnorm_update_running_stats(&a->t, &b->t, &half->t, &a->t, &a->t, 0.5),
              HALNORM_VALUE_ERROR, "halnorm_update_running_stats: count is 2.5", NULL, NULL);
  CHECK(array_get(out, 0) == -1);
  array_set(half, 0, 2);
  CHECK_OK(halnorm_merge(&half->t, &a->t, &a->t, &none->t, &b->t, &b->t, &out->t, &b->t, NULL));
  CHECK(array_get(out, 0) == 2 && array_get(b, 0) == 3 && array_get(b, 1) == 3);
  array_free(half);
  array_free(none);
  array_free(out);
  array_free(a);
  array_free(b);
}

void test_split(void) {
  for_each_problem(all);
  counts();
}
