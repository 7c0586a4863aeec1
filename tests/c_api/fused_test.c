#include <math.h>

#include "check.h"
#include "problem.h"

static struct Truth t;

static void check_y(const struct Problem* p) {
  CHECK(array_difference(p->y, t.y) <= data_tolerance(p, &t));
}

static void check_gradients(const struct Problem* p) {
  CHECK(array_difference(p->dx, t.dx) <= data_tolerance(p, &t));
  CHECK(array_difference(p->daddend, t.daddend) == 0);
  CHECK(array_difference(p->dweight, t.dweight) <= sum_tolerance(p));
  CHECK(array_difference(p->dbias, t.dbias) <= sum_tolerance(p));
}

static void training(struct Problem* p) {
  truth_of(p, 1, 1, &t);
  CHECK_OK(halnorm_batch_norm_fused_train(&p->x->t, &p->addend->t, &p->weight->t, &p->bias->t,
                                          &p->running_mean->t, &p->running_var->t, 0.5, eps,
                                          &p->y->t, &p->mean->t, &p->invstd->t));
  check_y(p);
  for (int c = 0; c < C; ++c) {
    const double mean = 0.5 * p->mean_values[c] + 0.5 * t.mean[c];
    const double var = 0.5 * p->var_values[c] + 0.5 * t.m2[c] / (M - 1);
    CHECK(fabs(array_get(p->running_mean, c) - mean) <= statistic_tolerance(p));
    CHECK(fabs(array_get(p->running_var, c) - var) <= 4 * statistic_tolerance(p));
  }
  CHECK(array_difference(p->mean, t.mean) <= statistic_tolerance(p));
  CHECK(array_difference(p->invstd, t.invstd) <= statistic_tolerance(p));
  CHECK_OK(halnorm_batch_norm_fused_backward(&p->dy->t, &p->x->t, &p->y->t, &p->weight->t,
                                             &p->mean->t, &p->invstd->t, &p->dx->t, &p->daddend->t,
                                             &p->dweight->t, &p->dbias->t));
  check_gradients(p);
}

static void inference(struct Problem* p) {
  truth_of(p, 0, 1, &t);
  CHECK_OK(halnorm_batch_norm_fused_infer(&p->x->t, &p->addend->t, &p->running_mean->t,
                                          &p->running_var->t, &p->weight->t, &p->bias->t, eps,
                                          &p->y->t));
  check_y(p);
  CHECK_OK(halnorm_batch_norm_fused_backward_infer(
      &p->dy->t, &p->x->t, &p->y->t, &p->weight->t, &p->running_mean->t, &p->running_var->t, eps,
      &p->dx->t, &p->daddend->t, &p->dweight->t, &p->dbias->t));
  check_gradients(p);
}

/* Tests a slope whose multiples are exact. */
static void leaky(struct Problem* p) {
  p->slope = 0.25;
  truth_of(p, 1, 1, &t);
  CHECK_OK(halnorm_batch_norm_fused_train_leaky(&p->x->t, &p->addend->t, &p->weight->t, &p->bias->t,
                                                NULL, NULL, 0, eps, p->slope, &p->y->t, &p->mean->t,
                                                &p->invstd->t));
  check_y(p);
  CHECK_OK(halnorm_batch_norm_fused_backward_leaky(&p->dy->t, &p->x->t, &p->y->t, &p->weight->t,
                                                   &p->mean->t, &p->invstd->t, p->slope, &p->dx->t,
                                                   &p->daddend->t, &p->dweight->t, &p->dbias->t));
  check_gradients(p);
  problem_clear(p);
  truth_of(p, 0, 1, &t);
  CHECK_OK(halnorm_batch_norm_fused_infer_leaky(&p->x->t, &p->addend->t, &p->running_mean->t,
                                                &p->running_var->t, &p->weight->t, &p->bias->t, eps,
                                                p->slope, &p->y->t));
  check_y(p);
  CHECK_OK(halnorm_batch_norm_fused_backward_infer_leaky(
      &p->dy->t, &p->x->t, &p->y->t, &p->weight->t, &p->running_mean->t, &p->running_var->t, eps,
      p->slope, &p->dx->t, &p->daddend->t, &p->dweight->t, &p->dbias->t));
  check_gradients(p);
  problem_clear(p);
  p->slope = 0;
}

/* Passes NULL for each optional argument, and y in the memory of x. */
static void least(struct Problem* p) {
  for (int i = 0; i < SIZE; ++i) {
    p->addend_values[i] = 0;
  }
  for (int c = 0; c < C; ++c) {
    p->weight_values[c] = 1;
    p->bias_values[c] = 0;
  }
  truth_of(p, 1, 1, &t);
  CHECK_OK(halnorm_batch_norm_fused_train(&p->x->t, NULL, NULL, NULL, NULL, NULL, 0, eps, &p->y->t,
                                          &p->mean->t, &p->invstd->t));
  check_y(p);
  CHECK_OK(halnorm_batch_norm_fused_backward(&p->dy->t, &p->x->t, &p->y->t, NULL, &p->mean->t,
                                             &p->invstd->t, NULL, &p->daddend->t, NULL, NULL));
  CHECK(array_difference(p->daddend, t.daddend) == 0);
  CHECK_OK(halnorm_batch_norm_fused_train(&p->x->t, NULL, NULL, NULL, NULL, NULL, 0, eps, &p->x->t,
                                          NULL, NULL));
  CHECK(array_difference(p->x, t.y) <= data_tolerance(p, &t));
}

static void all(struct Problem* p) {
  training(p);
  problem_clear(p);
  inference(p);
  leaky(p);
  least(p);
}

void test_fused(void) { for_each_problem(all); }
