#include "array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const DLDataType f16 = {kDLFloat, 16, 1};
const DLDataType bf16 = {kDLBfloat, 16, 1};
const DLDataType f32 = {kDLFloat, 32, 1};
const DLDataType f64 = {kDLFloat, 64, 1};
const DLDataType i64 = {kDLInt, 64, 1};

static const unsigned char gap = 0xA5;

int64_t array_size(const struct Array* array) {
  int64_t size = 1;
  for (int axis = 0; axis < array->t.ndim; ++axis) {
    size *= array->shape[axis];
  }
  return size;
}

static void lay_out(struct Array* a, enum Layout layout) {
  const int last = a->t.ndim - 1;
  const int64_t step = layout == GAPS ? 2 : 1;
  int64_t pitch = step;
  for (int axis = last; axis >= 0; --axis) {
    a->strides[axis] = pitch;
    pitch = pitch * a->shape[axis] + (layout == GAPS ? 3 : 0);
  }
  if (layout == LAST && last == 2) {
    a->strides[0] = a->shape[1] * a->shape[2];
    a->strides[1] = 1;
    a->strides[2] = a->shape[1];
  }
}

struct Array* array_new(DLDataType type, enum Layout layout, int ndim, int64_t n, int64_t c,
                        int64_t l) {
  struct Array* a = calloc(1, sizeof *a);
  const size_t size = type.bits / 8u;
  int64_t first = layout == GAPS ? 3 : 0; /* in elements */
  int64_t span = first + 1;
  a->shape[0] = n;
  a->shape[1] = c;
  a->shape[2] = l;
  a->t.ndim = ndim;
  lay_out(a, layout);
  for (int axis = 0; axis < ndim; ++axis) {
    span += a->shape[axis] > 0 ? (a->shape[axis] - 1) * a->strides[axis] : 0;
  }
  if (layout == REVERSED) {
    first = a->strides[0] * (n - 1);
    a->strides[0] = -a->strides[0];
  }
  a->bytes = (size_t)(span + 2) * size;
  a->memory = malloc(a->bytes);
  memset(a->memory, gap, a->bytes);
  a->t.data = a->memory;
  a->t.byte_offset = (uint64_t)first * size;
  a->t.device.device_type = kDLCPU;
  a->t.dtype = type;
  a->t.shape = a->shape;
  a->t.strides = layout == DENSE ? NULL : a->strides;
  return a;
}

struct Array* channels_new(DLDataType type, enum Layout layout, int64_t c) {
  return array_new(type, layout == GAPS || layout == DENSE ? layout : EXPLICIT, 1, c, 0, 0);
}

struct Array* scalar_new(DLDataType type, double value) {
  struct Array* a = array_new(type, DENSE, 0, 0, 0, 0);
  array_set(a, 0, value);
  return a;
}

void array_free(struct Array* array) {
  if (array != NULL) {
    free(array->memory);
    free(array);
  }
}

static unsigned char* place(const struct Array* a, int64_t index) {
  int64_t offset = 0;
  for (int axis = a->t.ndim - 1; axis >= 0; --axis) {
    offset += index % a->shape[axis] * a->strides[axis];
    index /= a->shape[axis];
  }
  return a->memory + (int64_t)a->t.byte_offset + offset * (a->t.dtype.bits / 8);
}

static double from_16_bits(uint16_t bits, int mantissa) {
  const int top = (1 << (15 - mantissa)) - 1;
  const int exponent = (bits >> mantissa) & top;
  const double fraction = (bits & ((1 << mantissa) - 1)) / (double)(1 << mantissa);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == top) {
    return fraction != 0 ? NAN : sign * INFINITY;
  }
  return exponent == 0 ? sign * ldexp(fraction, 1 - top / 2)
                       : sign * ldexp(1 + fraction, exponent - top / 2);
}

/* Converts NaN, and values that 16 bits hold exactly. */
static uint16_t to_16_bits(double value, int mantissa) {
  const int bias = (1 << (14 - mantissa)) - 1;
  int exponent = 0;
  const double fraction = frexp(fabs(value), &exponent); /* 0.5 to 1 */
  const unsigned sign = value < 0 ? 0x8000u : 0u;
  if (isnan(value)) {
    return 0x7fffu;
  }
  if (value == 0) {
    return 0;
  }
  return (uint16_t)(sign + ((unsigned)(exponent - 1 + bias) << mantissa) +
                    (unsigned)((2 * fraction - 1) * (1 << mantissa)));
}

double array_get(const struct Array* a, int64_t index) {
  const unsigned char* at = place(a, index);
  uint16_t bits = 0;
  float single = 0;
  double value = 0;
  int64_t whole = 0;
  if (a->t.dtype.bits == 16) {
    memcpy(&bits, at, sizeof bits);
    return from_16_bits(bits, a->t.dtype.code == kDLFloat ? 10 : 7);
  }
  if (a->t.dtype.bits == 32) {
    memcpy(&single, at, sizeof single);
    return single;
  }
  if (a->t.dtype.code == kDLInt) {
    memcpy(&whole, at, sizeof whole);
    return (double)whole;
  }
  memcpy(&value, at, sizeof value);
  return value;
}

void array_set(struct Array* a, int64_t index, double value) {
  unsigned char* at = place(a, index);
  const uint16_t bits =
      a->t.dtype.bits == 16 ? to_16_bits(value, a->t.dtype.code == kDLFloat ? 10 : 7) : 0;
  const float single = (float)value;
  const int64_t whole = (int64_t)value;
  if (a->t.dtype.bits == 16) {
    memcpy(at, &bits, sizeof bits);
  } else if (a->t.dtype.bits == 32) {
    memcpy(at, &single, sizeof single);
  } else if (a->t.dtype.code == kDLInt) {
    memcpy(at, &whole, sizeof whole);
  } else {
    memcpy(at, &value, sizeof value);
  }
}

void array_set_all(struct Array* array, const double* values) {
  for (int64_t i = 0; i < array_size(array); ++i) {
    array_set(array, i, values[i]);
  }
}

void array_fill(struct Array* array, double value) {
  for (int64_t i = 0; i < array_size(array); ++i) {
    array_set(array, i, value);
  }
}

int array_gaps_intact(const struct Array* a) {
  const size_t size = a->t.dtype.bits / 8u;
  unsigned char* used = calloc(a->bytes, 1);
  int intact = 1;
  for (int64_t i = 0; i < array_size(a); ++i) {
    memset(used + (place(a, i) - a->memory), 1, size);
  }
  for (size_t i = 0; i < a->bytes; ++i) {
    intact = intact && (used[i] != 0 || a->memory[i] == gap);
  }
  free(used);
  return intact;
}

double array_difference(const struct Array* array, const double* values) {
  double largest = 0;
  for (int64_t i = 0; i < array_size(array); ++i) {
    const double difference = fabs(array_get(array, i) - values[i]);
    largest = difference <= largest ? largest : isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

double half_ulp(DLDataType type) {
  if (type.code == kDLBfloat) {
    return 0x1p-8;
  }
  return type.bits == 16 ? 0x1p-11 : type.bits == 32 ? 0x1p-24 : 0x1p-53;
}

double random_value(void) {
  static uint32_t state = 12345;
  state = state * 1664525u + 1013904223u;
  return ((int)(state >> 16) % 129 - 64) / 16.0;
}
