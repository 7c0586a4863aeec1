#include <math.h>

#include "array.h"
#include "check.h"

enum { OUT = 3, IN = 2, WEIGHTS = OUT * IN };

static const double mean[OUT] = {0.5, -2, 100}, var[OUT] = {3, 0.25, 8}, eps = 1;
static const double bias[OUT] = {1, 2, -1};

static struct Array* filled(enum Layout layout, int64_t count, const double* values) {
  struct Array* array = channels_new(f64, layout, count);
  array_set_all(array, values);
  return array;
}

/* weight is (OUT, IN), or transposed (IN, OUT, 1). */
static void check_fused(struct Array* weight, int transpose, enum Layout layout) {
  const int ndim = transpose ? 3 : 2;
  struct Array* fused = array_new(f64, layout, ndim, weight->shape[0], weight->shape[1], 1);
  struct Array* fused_bias = channels_new(f64, layout, OUT);
  struct Array* m = filled(layout, OUT, mean);
  struct Array* v = filled(layout, OUT, var);
  struct Array* b = filled(layout, OUT, bias);
  if (transpose) {
    CHECK_OK(halnorm_fuse_conv_bn_weights(&weight->t, NULL, &m->t, &v->t, eps, NULL, &b->t, 1,
                                          &fused->t, &fused_bias->t));
  } else {
    CHECK_OK(halnorm_fuse_linear_bn_weights(&weight->t, NULL, &m->t, &v->t, eps, NULL, &b->t,
                                            &fused->t, &fused_bias->t));
  }
  for (int64_t i = 0; i < WEIGHTS; ++i) {
    const int64_t o = transpose ? i % OUT : i / IN;
    const double wanted = array_get(weight, i) / sqrt(var[o] + eps);
    CHECK(fabs(array_get(fused, i) - wanted) <= 1e-15 * fabs(wanted));
  }
  for (int64_t o = 0; o < OUT; ++o) {
    const double wanted = bias[o] - mean[o] / sqrt(var[o] + eps);
    CHECK(fabs(array_get(fused_bias, o) - wanted) <= 1e-14 * fabs(wanted));
  }
  CHECK(array_gaps_intact(fused));
  CHECK_ERROR(halnorm_fuse_conv_bn_weights(&weight->t, NULL, &m->t, NULL, eps, NULL, NULL,
                                           transpose, &fused->t, &fused_bias->t),
              HALNORM_VALUE_ERROR, "halnorm_fuse_conv_bn_weights", "bn_rv", "NULL");
  CHECK_ERROR(halnorm_fuse_conv_bn_weights(&weight->t, NULL, &m->t, &v->t, eps, NULL, NULL,
                                           transpose, &fused_bias->t, NULL),
              HALNORM_SHAPE_ERROR, "halnorm_fuse_conv_bn_weights", "weight", NULL);
  array_free(fused);
  array_free(fused_bias);
  array_free(m);
  array_free(v);
  array_free(b);
}

void test_fuse_weights(void) {
  for (int layout = 0; layout < LAYOUTS; ++layout) {
    struct Array* linear = array_new(f64, (enum Layout)layout, 2, OUT, IN, 1);
    struct Array* transposed = array_new(f64, (enum Layout)layout, 3, IN, OUT, 1);
    for (int64_t i = 0; i < WEIGHTS; ++i) {
      array_set(linear, i, random_value());
      array_set(transposed, i, random_value());
    }
    check_fused(linear, 0, (enum Layout)layout);
    check_fused(transposed, 1, (enum Layout)layout);
    array_free(linear);
    array_free(transposed);
  }
}
