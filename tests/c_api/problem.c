#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

struct Problem* problem_new(DLDataType data, enum Layout layout) {
  struct Problem* p = calloc(1, sizeof *p);
  struct Array** tensors[] = {&p->x, &p->dy, &p->addend, &p->y, &p->dx, &p->daddend};
  struct Array** channels[] = {&p->weight,      &p->bias,    &p->running_mean,
                               &p->running_var, &p->dweight, &p->dbias};
  p->data = data;
  p->slope = 0;
  p->parameter = data.bits == 64 ? f64 : f32;
  for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; ++i) {
    *tensors[i] = array_new(data, layout, 3, N, C, L);
  }
  for (size_t i = 0; i < sizeof channels / sizeof channels[0]; ++i) {
    *channels[i] = channels_new(p->parameter, layout, C);
  }
  p->mean = channels_new(f64, layout, C);
  p->invstd = channels_new(f64, layout, C);
  for (int i = 0; i < SIZE; ++i) {
    p->x_values[i] = random_value();
    p->dy_values[i] = random_value();
    p->addend_values[i] = random_value();
  }
  for (int c = 0; c < C; ++c) {
    p->weight_values[c] = random_value() + 5;
    p->bias_values[c] = random_value();
    p->mean_values[c] = random_value() / 4;
    p->var_values[c] = 1 + fabs(random_value());
  }
  array_set_all(p->x, p->x_values);
  array_set_all(p->dy, p->dy_values);
  array_set_all(p->addend, p->addend_values);
  array_set_all(p->weight, p->weight_values);
  array_set_all(p->bias, p->bias_values);
  problem_clear(p);
  return p;
}

void problem_clear(struct Problem* p) {
  struct Array* outputs[] = {p->y, p->dx, p->daddend, p->dweight, p->dbias, p->mean, p->invstd};
  for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; ++i) {
    array_fill(outputs[i], NAN);
  }
  array_set_all(p->running_mean, p->mean_values);
  array_set_all(p->running_var, p->var_values);
}

void problem_free(struct Problem* p) {
  struct Array* all[] = {p->x,       p->dy,           p->addend, p->y,          p->dx,
                         p->daddend, p->weight,       p->bias,   p->dweight,    p->dbias,
                         p->mean,    p->running_mean, p->invstd, p->running_var};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) {
    CHECK(array_gaps_intact(all[i]));
    array_free(all[i]);
  }
  free(p);
}

/* The result is rounded once, after at most 16 roundings of float32 (of float64 beside it). */
double data_tolerance(const struct Problem* p, const struct Truth* t) {
  return t->scale * (half_ulp(p->data) + 16 * half_ulp(p->parameter));
}

double statistic_tolerance(const struct Problem* p) { return 4 * 16 * half_ulp(p->parameter); }

/* A sum of M terms of at most 4 * 4. */
double sum_tolerance(const struct Problem* p) { return 16.0 * M * 16 * half_ulp(p->parameter); }

static void larger(double* scale, double value) {
  *scale = fabs(value) > *scale ? fabs(value) : *scale;
}

static void statistics(const struct Problem* p, int c, struct Truth* t) {
  double sum = 0;
  for (int i = 0; i < M; ++i) {
    sum += p->x_values[(i / L * C + c) * L + i % L];
  }
  t->mean[c] = sum / M;
  for (int i = 0; i < M; ++i) {
    const double d = p->x_values[(i / L * C + c) * L + i % L] - t->mean[c];
    t->m2[c] += d * d;
  }
  t->var[c] = t->m2[c] / M;
}

static void channel_forward(const struct Problem* p, int c, double mean, int fused,
                            struct Truth* t) {
  for (int i = 0; i < M; ++i) {
    const int at = (i / L * C + c) * L + i % L;
    const double xhat = (p->x_values[at] - mean) * t->invstd[c];
    const double y =
        xhat * p->weight_values[c] + p->bias_values[c] + (fused ? p->addend_values[at] : 0);
    larger(&t->scale, y);
    t->y[at] = fused && y < 0 ? p->slope * y : y;
    t->daddend[at] = fused && y <= 0 ? p->slope * p->dy_values[at] : p->dy_values[at];
    t->sum_dy[c] += t->daddend[at];
    t->sum_dy_xmu[c] += t->daddend[at] * (p->x_values[at] - mean);
  }
}

void truth_of(const struct Problem* p, int training, int fused, struct Truth* t) {
  const struct Truth empty = {0};
  *t = empty;
  for (int c = 0; c < C; ++c) {
    statistics(p, c, t);
    const double mean = training ? t->mean[c] : p->mean_values[c];
    t->invstd[c] = 1 / sqrt((training ? t->var[c] : p->var_values[c]) + eps);
    channel_forward(p, c, mean, fused, t);
    t->dbias[c] = t->sum_dy[c];
    t->dweight[c] = t->sum_dy_xmu[c] * t->invstd[c];
    for (int i = 0; i < M; ++i) {
      const int at = (i / L * C + c) * L + i % L;
      const double xhat = (p->x_values[at] - mean) * t->invstd[c];
      const double centered = training ? (t->dbias[c] + xhat * t->dweight[c]) / M : 0;
      t->dx[at] = p->weight_values[c] * t->invstd[c] * (t->daddend[at] - centered);
      larger(&t->scale, t->dx[at]);
    }
  }
}

void for_each_problem(void (*body)(struct Problem* p)) {
  const DLDataType types[] = {f16, bf16, f32, f64};
  static char name[64];
  for (int type = 0; type < 4; ++type) {
    for (int layout = 0; layout < LAYOUTS; ++layout) {
      struct Problem* p = problem_new(types[type], (enum Layout)layout);
      snprintf(name, sizeof name, "dtype code %d of %d bits, layout %d", p->data.code, p->data.bits,
               layout);
      context = name;
      body(p);
      problem_free(p);
    }
  }
  context = "";
}
