#include <math.h>

#include "check.h"
#include "problem.h"

static struct Truth t;

static void check_gradients(const struct Problem* p) {
  CHECK(array_difference(p->dx, t.dx) <= data_tolerance(p, &t));
  CHECK(array_difference(p->dweight, t.dweight) <= sum_tolerance(p));
  CHECK(array_difference(p->dbias, t.dbias) <= sum_tolerance(p));
}

static halnorm_status train(struct Problem* p) {
  return halnorm_batch_norm_train(&p->x->t, &p->weight->t, &p->bias->t, NULL, NULL, 0, eps,
                                  &p->y->t, &p->mean->t, &p->invstd->t);
}

static halnorm_status backward(struct Problem* p, struct Array* dx, struct Array* dweight,
                               struct Array* dbias) {
  return halnorm_batch_norm_backward(
      &p->dy->t, &p->x->t, &p->weight->t, &p->mean->t, &p->invstd->t, dx == NULL ? NULL : &dx->t,
      dweight == NULL ? NULL : &dweight->t, dbias == NULL ? NULL : &dbias->t);
}

static halnorm_status backward_infer(struct Problem* p, struct Array* dx, struct Array* dweight,
                                     struct Array* dbias) {
  return halnorm_batch_norm_backward_infer(&p->dy->t, &p->x->t, &p->weight->t, &p->running_mean->t,
                                           &p->running_var->t, eps, dx == NULL ? NULL : &dx->t,
                                           dweight == NULL ? NULL : &dweight->t,
                                           dbias == NULL ? NULL : &dbias->t);
}

/* Each output alone has the bits that it has beside the others. */
static void single_outputs(struct Problem* p,
                           halnorm_status (*call)(struct Problem*, struct Array*, struct Array*,
                                                  struct Array*)) {
  static double dx[SIZE];
  double dweight[C];
  double dbias[C];
  for (int i = 0; i < SIZE; ++i) {
    dx[i] = array_get(p->dx, i);
  }
  for (int c = 0; c < C; ++c) {
    dweight[c] = array_get(p->dweight, c);
    dbias[c] = array_get(p->dbias, c);
  }
  array_fill(p->dx, NAN);
  array_fill(p->dweight, NAN);
  array_fill(p->dbias, NAN);
  CHECK_OK(call(p, p->dx, NULL, NULL));
  CHECK_OK(call(p, NULL, p->dweight, NULL));
  CHECK_OK(call(p, NULL, NULL, p->dbias));
  CHECK(array_difference(p->dx, dx) == 0);
  CHECK(array_difference(p->dweight, dweight) == 0);
  CHECK(array_difference(p->dbias, dbias) == 0);
  CHECK_ERROR(call(p, NULL, NULL, NULL), HALNORM_VALUE_ERROR, "dx, dweight, dbias", "at least one",
              "halnorm_batch_norm_backward");
}

static void no_weight(struct Problem* p) {
  for (int c = 0; c < C; ++c) {
    p->weight_values[c] = 1;
  }
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_backward(&p->dy->t, &p->x->t, NULL, &p->mean->t, &p->invstd->t,
                                       &p->dx->t, &p->dweight->t, &p->dbias->t));
  check_gradients(p);
}

/* The gradients of a float64 weight are float64, whatever x is. */
static void wide_weight(struct Problem* p) {
  struct Array* weight = channels_new(f64, DENSE, C);
  struct Array* dweight = channels_new(f64, DENSE, C);
  struct Array* dbias = channels_new(f64, DENSE, C);
  array_set_all(weight, p->weight_values);
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_backward(&p->dy->t, &p->x->t, &weight->t, &p->mean->t, &p->invstd->t,
                                       &p->dx->t, &dweight->t, &dbias->t));
  CHECK(array_difference(p->dx, t.dx) <= data_tolerance(p, &t));
  CHECK(array_difference(dweight, t.dweight) <= sum_tolerance(p));
  CHECK(array_difference(dbias, t.dbias) <= sum_tolerance(p));
  array_free(weight);
  array_free(dweight);
  array_free(dbias);
}

/* dx in the memory of dy. This test is the last one, because it overwrites dy. */
static void in_place(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  CHECK_OK(halnorm_batch_norm_backward(&p->dy->t, &p->x->t, NULL, &p->mean->t, &p->invstd->t,
                                       &p->dy->t, NULL, NULL));
  CHECK(array_difference(p->dy, t.dx) <= data_tolerance(p, &t));
}

static void all(struct Problem* p) {
  truth_of(p, 1, 0, &t);
  CHECK_OK(train(p));
  CHECK_OK(backward(p, p->dx, p->dweight, p->dbias));
  check_gradients(p);
  single_outputs(p, backward);
  wide_weight(p);
  problem_clear(p);
  truth_of(p, 0, 0, &t);
  CHECK_OK(backward_infer(p, p->dx, p->dweight, p->dbias));
  check_gradients(p);
  single_outputs(p, backward_infer);
  CHECK_OK(train(p));
  no_weight(p);
  in_place(p);
}

void test_backward(void) { for_each_problem(all); }
