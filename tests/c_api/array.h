#pragma once

#include <dlpack/dlpack.h>
#include <stddef.h>

/* Memory in any dtype and layout, read and written as double. */

enum Layout {
  DENSE,    /* strides NULL */
  EXPLICIT, /* the strides of DENSE */
  LAST,     /* channels innermost */
  GAPS,     /* elements and rows apart, and a byte_offset */
  REVERSED, /* a negative first stride */
  LAYOUTS
};

struct Array {
  DLTensor t;
  int64_t shape[3];
  int64_t strides[3];
  unsigned char* memory;
  size_t bytes;
};

extern const DLDataType f16, bf16, f32, f64, i64;

struct Array* array_new(DLDataType type, enum Layout layout, int ndim, int64_t n, int64_t c,
                        int64_t l);
struct Array* channels_new(DLDataType type, enum Layout layout, int64_t c);
struct Array* scalar_new(DLDataType type, double value);
void array_free(struct Array* array);

int64_t array_size(const struct Array* array);
double array_get(const struct Array* array, int64_t index); /* row-major */
void array_set(struct Array* array, int64_t index, double value);
void array_set_all(struct Array* array, const double* values);
void array_fill(struct Array* array, double value);
/* Whether nothing was written between the elements. */
int array_gaps_intact(const struct Array* array);
/* Largest difference to values; infinite if one of both is NaN. */
double array_difference(const struct Array* array, const double* values);

/* Half the distance of 1 to the next number. */
double half_ulp(DLDataType type);
/* Multiples of 1/16 from -4 to 4: exact in every dtype. */
double random_value(void);
