#pragma once

#include "array.h"

/* A batch with its parameters, and its results in plain double arithmetic. */

enum { N = 6, C = 5, L = 7, SIZE = N * C * L, M = N * L };

/* eps of every call: exact in binary. */
static const double eps = 0x1p-10;

struct Truth {
  double mean[C], var[C], m2[C], invstd[C];
  double y[SIZE], dx[SIZE], daddend[SIZE];
  double dweight[C], dbias[C], sum_dy[C], sum_dy_xmu[C];
  double scale; /* the largest magnitude of y and dx */
};

struct Problem {
  DLDataType data, parameter; /* their dtypes */
  struct Array *x, *dy, *addend, *y, *dx, *daddend;
  struct Array *weight, *bias, *running_mean, *running_var, *mean, *invstd, *dweight, *dbias;
  double x_values[SIZE], dy_values[SIZE], addend_values[SIZE];
  double weight_values[C], bias_values[C], mean_values[C], var_values[C];
  double slope; /* of relu below 0 */
};

struct Problem* problem_new(DLDataType data, enum Layout layout);
void problem_free(struct Problem* p);
/* Sets outputs to NaN, so that an element that is not written shows. */
void problem_clear(struct Problem* p);
/* The tolerance of outputs: some roundings of the largest magnitude. */
double data_tolerance(const struct Problem* p, const struct Truth* t);
double statistic_tolerance(const struct Problem* p);
double sum_tolerance(const struct Problem* p);

/* With the batch's statistics or, in inference, the running ones; relu and addend if fused. */
void truth_of(const struct Problem* p, int training, int fused, struct Truth* t);

/* Runs body for every dtype and layout. */
void for_each_problem(void (*body)(struct Problem* p));
