#include <math.h>

#include "check.h"
#include "problem.h"

static struct Truth t;
static const double momentum = 0.25;

static void check_running(const struct Problem* p, int updated) {
  double mean[C];
  double var[C];
  for (int c = 0; c < C; ++c) {
    const double unbiased = t.m2[c] / (M - 1);
    mean[c] = updated ? 0.75 * p->mean_values[c] + 0.25 * t.mean[c] : p->mean_values[c];
    var[c] = updated ? 0.75 * p->var_values[c] + 0.25 * unbiased : p->var_values[c];
  }
  const double tolerance = updated ? statistic_tolerance(p) : 0;
  CHECK(array_difference(p->running_mean, mean) <= tolerance);
  CHECK(array_difference(p->running_var, var) <= tolerance * 4);
}

static void check_y(const struct Problem* p) {
  CHECK(array_difference(p->y, t.y) <= data_tolerance(p, &t));
}

static void infer(struct Problem* p) {
  truth_of(p, 0, 0, &t);
  CHECK_OK(halnorm_batch_norm_infer(&p->x->t, &p->running_mean->t, &p->running_var->t,
                                    &p->weight->t, &p->bias->t, eps, &p->y->t));
  check_y(p);
  check_running(p, 0);
  CHECK(array_difference(p->x, p->x_values) == 0);
}

static void train(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_train(&p->x->t, &p->weight->t, &p->bias->t, NULL, NULL, NAN, eps,
                                    &p->y->t, &p->mean->t, &p->invstd->t));
  check_y(p);
  check_running(p, 0);
  CHECK(array_difference(p->mean, t.mean) <= statistic_tolerance(p));
  CHECK(array_difference(p->invstd, t.invstd) <= statistic_tolerance(p));
}

static void train_and_update(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_train(&p->x->t, &p->weight->t, &p->bias->t, &p->running_mean->t,
                                    &p->running_var->t, momentum, eps, &p->y->t, NULL, NULL));
  check_y(p);
  check_running(p, 1);
}

/* Statistics in float32: those in float64, rounded once. */
static void float32_statistics(struct Problem* p) {
  struct Array* mean = channels_new(f32, GAPS, C);
  struct Array* invstd = channels_new(f32, DENSE, C);
  CHECK_OK(halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, eps, &p->y->t, &p->mean->t,
                                    &p->invstd->t));
  CHECK_OK(halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, eps, &p->y->t, &mean->t,
                                    &invstd->t));
  for (int c = 0; c < C; ++c) {
    CHECK(array_get(mean, c) == (float)array_get(p->mean, c));
    CHECK(array_get(invstd, c) == (float)array_get(p->invstd, c));
  }
  CHECK(array_gaps_intact(mean));
  array_free(mean);
  array_free(invstd);
}

static halnorm_status whole(struct Problem* p, int running, int training, const double* factor) {
  problem_clear(p);
  return halnorm_batch_norm(&p->x->t, running ? &p->running_mean->t : NULL,
                            running ? &p->running_var->t : NULL, &p->weight->t, &p->bias->t,
                            training, factor, eps, &p->y->t);
}

static void whole_operation(struct Problem* p) {
  truth_of(p, 0, 0, &t);
  CHECK_OK(whole(p, 1, 0, &momentum));
  check_y(p);
  check_running(p, 0);
  truth_of(p, 1, 0, &t);
  CHECK_OK(whole(p, 1, 1, &momentum));
  check_y(p);
  check_running(p, 1);
  CHECK_OK(whole(p, 1, 1, NULL));
  check_y(p);
  check_running(p, 0);
  CHECK_OK(whole(p, 0, 0, NULL));
  check_y(p);
}

/* weight 1 and bias 0. */
static void no_affine(struct Problem* p) {
  for (int c = 0; c < C; ++c) {
    p->weight_values[c] = 1;
    p->bias_values[c] = 0;
  }
  truth_of(p, 0, 0, &t);
  CHECK_OK(halnorm_batch_norm_infer(&p->x->t, &p->running_mean->t, &p->running_var->t, NULL, NULL,
                                    eps, &p->y->t));
  check_y(p);
  truth_of(p, 1, 0, &t);
  CHECK_OK(
      halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, eps, &p->y->t, NULL, NULL));
  check_y(p);
}

/* x is its own y. This test is the last one, because it overwrites x. */
static void in_place(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  CHECK_OK(
      halnorm_batch_norm_train(&p->x->t, NULL, NULL, NULL, NULL, 0, eps, &p->x->t, NULL, NULL));
  CHECK(array_difference(p->x, t.y) <= data_tolerance(p, &t));
}

static void all(struct Problem* p) {
  infer(p);
  problem_clear(p);
  train(p);
  problem_clear(p);
  train_and_update(p);
  float32_statistics(p);
  whole_operation(p);
  problem_clear(p);
  no_affine(p);
  in_place(p);
}

void test_forward(void) { for_each_problem(all); }
