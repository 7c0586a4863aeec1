#include <pthread.h>
#include <string.h>

#include "check.h"
#include "problem.h"

/* Threads that fail in different ways, all at once, read their own messages. */

enum { THREADS = 4, ROUNDS = 200 };

struct Job {
  int number;
  int wrong;
};

static void* fail_often(void* argument) {
  struct Job* job = argument;
  char wanted[64] = "halnorm_set_num_threads: got -1";
  job->wrong += strcmp(halnorm_last_error(), "") != 0;
  wanted[strlen(wanted) - 1] = (char)('1' + job->number);
  for (int i = 0; i < ROUNDS; ++i) {
    job->wrong += halnorm_set_num_threads(-1 - job->number) != HALNORM_VALUE_ERROR;
    job->wrong += strncmp(halnorm_last_error(), wanted, strlen(wanted)) != 0;
  }
  return NULL;
}

void test_threads(void) {
  pthread_t threads[THREADS];
  struct Job jobs[THREADS];
  struct Problem* p = problem_new(f32, DENSE);
  const struct Array* x = p->x;
  CHECK_ERROR(halnorm_force_target("mine"), HALNORM_KERNEL_ERROR, "mine", NULL, NULL);
  for (int i = 0; i < THREADS; ++i) {
    jobs[i].number = i;
    jobs[i].wrong = 0;
    CHECK(pthread_create(&threads[i], NULL, fail_often, &jobs[i]) == 0);
  }
  for (int i = 0; i < THREADS; ++i) {
    CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(jobs[i].wrong == 0);
  }
  /* A call that succeeds leaves the message alone. */
  CHECK_OK(halnorm_batch_norm_train(&x->t, NULL, NULL, NULL, NULL, 0, eps, &p->y->t, NULL, NULL));
  CHECK(strstr(halnorm_last_error(), "mine") != NULL);
  problem_free(p);
}
