#pragma once

#include <halnorm/halnorm_c.h>

/* Checks that print a failure and let the test continue. */

extern int failures;
extern const char* context; /* what the checks are about now: a case, or "" */

/* Counts and prints a failure; returns holds. */
int check(int holds, const char* file, int line, const char* text);
/* The call succeeded; otherwise its message is printed. */
int check_ok(halnorm_status status, const char* file, int line, const char* text);
/* The call failed with this status, and the message has each of three parts (NULL: no part). */
void check_error(halnorm_status got, halnorm_status wanted, const char* file, int line,
                 const char* first, const char* second, const char* third);

#define CHECK(holds) check((holds), __FILE__, __LINE__, #holds)
#define CHECK_OK(call) check_ok((call), __FILE__, __LINE__, #call)
#define CHECK_ERROR(call, wanted, first, second, third) \
  check_error((call), (wanted), __FILE__, __LINE__, (first), (second), (third))

void test_forward(void);
void test_backward(void);
void test_split(void);
void test_fuse_weights(void);
void test_fused(void);
void test_tensors(void);
void test_arguments(void);
void test_library(void);
void test_threads(void);
