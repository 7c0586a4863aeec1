#include <halnorm/version.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "problem.h"

static struct Problem* problem;

static halnorm_status infer(void) {
  return halnorm_batch_norm_infer(&problem->x->t, &problem->running_mean->t,
                                  &problem->running_var->t, NULL, NULL, eps, &problem->y->t);
}

static void texts(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", HALNORM_VERSION_MAJOR, HALNORM_VERSION_MINOR,
           HALNORM_VERSION_PATCH);
  CHECK(strcmp(halnorm_version(), version) == 0);
  CHECK(strcmp(halnorm_status_string(HALNORM_OK), "ok") == 0);
  CHECK(strcmp(halnorm_status_string((halnorm_status)77), "unknown status") == 0);
  for (int i = HALNORM_OK; i < HALNORM_INTERNAL_ERROR; ++i) {
    CHECK(strcmp(halnorm_status_string((halnorm_status)i),
                 halnorm_status_string((halnorm_status)(i + 1))) != 0);
  }
}

/* Each target of the list can be forced, and then runs. */
static void targets(void) {
  char names[256];
  snprintf(names, sizeof names, "%s", halnorm_targets());
  CHECK(names[0] != '\0');
  for (const char* name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
    CHECK_OK(halnorm_force_target(name));
    CHECK_OK(infer());
    const char* suffix = strstr(halnorm_last_kernel(), "__");
    CHECK(suffix != NULL && strcmp(suffix + 2, name) == 0);
  }
  CHECK_ERROR(halnorm_force_target("pdp11"), HALNORM_KERNEL_ERROR,
              "halnorm_force_target: ", "pdp11", NULL);
  CHECK_OK(halnorm_force_target(NULL));
  CHECK_OK(halnorm_force_target(""));
}

static void settings(void) {
  const int threads = halnorm_get_num_threads();
  CHECK(threads >= 1);
  CHECK_OK(halnorm_set_num_threads(3));
  CHECK(halnorm_get_num_threads() == 3);
  CHECK_ERROR(halnorm_set_num_threads(-1), HALNORM_VALUE_ERROR, "halnorm_set_num_threads: ", "-1",
              NULL);
  CHECK_ERROR(halnorm_set_num_threads(257), HALNORM_VALUE_ERROR, "257", NULL, NULL);
  CHECK(halnorm_get_num_threads() == 3);
  CHECK_OK(halnorm_set_num_threads(0));
  CHECK(halnorm_get_num_threads() == threads);
  CHECK_ERROR(halnorm_set_streaming_threshold(-1), HALNORM_VALUE_ERROR,
              "halnorm_set_streaming_threshold: ", "-1", NULL);
  CHECK_OK(halnorm_set_streaming_threshold(0));
  CHECK_OK(halnorm_set_streaming_threshold(HALNORM_DEFAULT_STREAMING_THRESHOLD));
  CHECK_ERROR(halnorm_set_cache_limit(-1), HALNORM_VALUE_ERROR, "halnorm_set_cache_limit: ", "-1",
              NULL);
  CHECK_OK(halnorm_set_cache_limit(0));
  CHECK_OK(halnorm_set_cache_limit((int64_t)1 << 29));
  halnorm_empty_cache();
}

struct Ran {
  int loops, tasks;
};

static void run_in_order(const halnorm_parallel_loop* loop, void* ran) {
  const int count = halnorm_parallel_loop_count(loop);
  ((struct Ran*)ran)->loops += 1;
  for (int i = count; i-- > 0;) {
    halnorm_parallel_loop_run(loop, i);
    ((struct Ran*)ran)->tasks += 1;
  }
}

static void run_none(const halnorm_parallel_loop* loop, void* ran) {
  (void)loop;
  (void)ran;
}

/* Loops of a tensor that is large enough for several tasks. */
static void parallel_for(void) {
  struct Ran ran = {0, 0};
  struct Array* x = array_new(f32, DENSE, 3, 8, 64, 1024);
  struct Array* y = array_new(f32, DENSE, 3, 8, 64, 1024);
  array_fill(x, 2);
  CHECK_OK(halnorm_set_num_threads(2));
  CHECK_OK(halnorm_set_parallel_for(run_in_order, &ran));
  CHECK_OK(halnorm_batch_norm_train(&x->t, NULL, NULL, NULL, NULL, 0, eps, &y->t, NULL, NULL));
  CHECK(ran.loops > 0 && ran.tasks >= 2 * ran.loops);
  CHECK(array_get(y, 0) == 0 && array_get(y, array_size(y) - 1) == 0);
  CHECK_OK(halnorm_set_parallel_for(run_none, NULL));
  CHECK_ERROR(halnorm_batch_norm_train(&x->t, NULL, NULL, NULL, NULL, 0, eps, &y->t, NULL, NULL),
              HALNORM_KERNEL_ERROR, "halnorm_batch_norm_train: ", NULL, NULL);
  CHECK_OK(halnorm_set_parallel_for(NULL, NULL));
  const int loops = ran.loops;
  CHECK_OK(halnorm_batch_norm_train(&x->t, NULL, NULL, NULL, NULL, 0, eps, &y->t, NULL, NULL));
  CHECK(ran.loops == loops);
  CHECK_OK(halnorm_set_num_threads(0));
  array_free(x);
  array_free(y);
}

static void devices(void) {
  const DLDevice cpu = {kDLCPU, 0};
  const DLDevice none = {kDLMetal, 0};
  halnorm_cuda_guard* guard = NULL;
  CHECK(halnorm_is_available(kDLCPU) == 1);
  CHECK(halnorm_is_available(kDLMetal) == 0);
  CHECK_OK(halnorm_synchronize(cpu));
  CHECK_ERROR(halnorm_synchronize(none), HALNORM_DEVICE_ERROR,
              "halnorm_synchronize: device is on device type 8", NULL, NULL);
  CHECK_ERROR(halnorm_cuda_enter(NULL, NULL, NULL), HALNORM_VALUE_ERROR, "guard is NULL", NULL,
              NULL);
  CHECK(halnorm_cuda_enter(NULL, NULL, &guard) != HALNORM_OK); /* no context, or no CUDA */
  CHECK(guard == NULL);
  halnorm_cuda_leave(NULL);
  CHECK(halnorm_cuda_release(NULL) != HALNORM_OK);
}

void test_library(void) {
  problem = problem_new(f32, DENSE);
  texts();
  targets();
  settings();
  parallel_for();
  devices();
  problem_free(problem);
}
