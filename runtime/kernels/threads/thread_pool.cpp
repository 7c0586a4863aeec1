#include "kernels/threads/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

namespace halnorm::HALNORM_ABI::detail {

namespace {

// set_num_threads() allows 256 threads, and the caller is one of them.
constexpr int most_threads = 255;
// How often an idle thread yields before it sleeps. Waking a thread costs more than a small loop,
// and the next loop of a call starts soon.
constexpr int patience = 40;

/// Work that a thread, the owner, shares. The Job is on the owner's stack.
struct Job {
  void (*work)(void*);
  void* argument;
  int wanted;  ///< threads that may still help
  std::atomic<int> helping{0};
  bool owner_sleeps = false;
  Job* next = nullptr;
};

/// The pool is constant-initialized and never destroyed, because calls may come while the program
/// starts or ends.
struct Pool {
  std::mutex mutex;
  pthread_cond_t work = PTHREAD_COND_INITIALIZER;  ///< a job was posted
  pthread_cond_t done = PTHREAD_COND_INITIALIZER;  ///< the helpers of a job have ended
  Job* jobs = nullptr;                             ///< jobs that want helpers, the latest first
  std::atomic<unsigned> posted{0};                 ///< jobs so far; read without the mutex
  int awake = 0;                                   ///< idle threads that yield and look for jobs
  int asleep = 0;
  int count = 0;
  bool one_is_starting = false;
  bool ends = false;
  std::array<pthread_t, most_threads> threads{};

  void wait(pthread_cond_t& condition) noexcept {
    pthread_cond_wait(&condition, mutex.native_handle());
  }
};
constinit Pool pool;

using Lock = std::unique_lock<std::mutex>;

/// Yields until ready() is true, at most `patience` times.
template <class Ready>
void linger(Lock& lock, Ready ready) noexcept {
  lock.unlock();
  for (int i = 0; i < patience && !ready(); ++i) {
    sched_yield();
  }
  lock.lock();
}

void remove(const Job& job) noexcept {
  for (Job** place = &pool.jobs; *place != nullptr; place = &(*place)->next) {
    if (*place == &job) {
      *place = job.next;
      return;
    }
  }
}

void help(Lock& lock, Job& job) noexcept {
  if (--job.wanted == 0) {
    remove(job);
  }
  job.helping.fetch_add(1, std::memory_order_relaxed);
  lock.unlock();
  job.work(job.argument);
  lock.lock();
  remove(job);  // all its tasks are taken
  // The owner checks `helping` under the lock before it destroys the job.
  if (job.helping.fetch_sub(1, std::memory_order_relaxed) == 1 && job.owner_sleeps) {
    pthread_cond_broadcast(&pool.done);
  }
}

void wait_for_work(Lock& lock) noexcept {
  const unsigned posted = pool.posted.load(std::memory_order_relaxed);
  ++pool.awake;
  linger(lock, [posted] { return pool.posted.load(std::memory_order_relaxed) != posted; });
  --pool.awake;
  while (pool.jobs == nullptr && !pool.ends) {
    ++pool.asleep;
    pool.wait(pool.work);
    --pool.asleep;
  }
}

void* run_thread(void* /*argument*/) {
  Lock lock(pool.mutex);
  while (!pool.ends) {
    if (pool.jobs != nullptr) {
      help(lock, *pool.jobs);
    } else {
      wait_for_work(lock);
    }
  }
  return nullptr;
}

/// Starts threads until the pool has `wanted`, unless another caller is starting one. The lock is
/// released during pthread_create(), which allocates.
int start_threads(Lock& lock, int wanted) noexcept {
  int error = 0;
  while (error == 0 && pool.count < wanted && !pool.one_is_starting && !pool.ends) {
    pool.one_is_starting = true;
    lock.unlock();
    pthread_t thread{};
    error = pthread_create(&thread, nullptr, &run_thread, nullptr);
    lock.lock();
    pool.one_is_starting = false;
    if (error == 0) {
      pool.threads[static_cast<std::size_t>(pool.count++)] = thread;
    }
  }
  return error;
}

void post(Lock& lock, Job& job) noexcept {
  job.next = pool.jobs;
  pool.jobs = &job;
  pool.posted.fetch_add(1, std::memory_order_relaxed);
  int wanted = -pool.awake;
  for (const Job* each = pool.jobs; each != nullptr; each = each->next) {
    wanted += each->wanted;
  }
  const int sleepers = std::min(wanted, pool.asleep);
  lock.unlock();
  for (int i = 0; i < sleepers; ++i) {
    pthread_cond_signal(&pool.work);
  }
}

void wait_for_helpers(Lock& lock, Job& job) noexcept {
  const auto done = [&job] { return job.helping.load(std::memory_order_relaxed) == 0; };
  remove(job);
  if (!done()) {
    linger(lock, done);
  }
  job.owner_sleeps = true;
  while (!done()) {
    pool.wait(pool.done);
  }
}

}  // namespace

int work_together(int helpers, void (*work)(void*), void* argument) noexcept {
  Lock lock(pool.mutex);
  const int wanted = std::min(helpers, most_threads);
  if (const int error = start_threads(lock, wanted); error != 0) {
    return error;
  }
  Job job{.work = work, .argument = argument, .wanted = std::min(wanted, pool.count)};
  if (job.wanted <= 0 || pool.ends) {
    lock.unlock();
    work(argument);
    return 0;
  }
  post(lock, job);
  work(argument);
  lock.lock();
  wait_for_helpers(lock, job);
  return 0;
}

void end_pool() noexcept {
  Lock lock(pool.mutex);
  pool.ends = true;
  const int count = pool.count;
  pthread_cond_broadcast(&pool.work);
  lock.unlock();
  for (int i = 0; i < count; ++i) {
    pthread_join(pool.threads[static_cast<std::size_t>(i)], nullptr);
  }
}

void lock_pool() noexcept { pool.mutex.lock(); }

void unlock_pool() noexcept { pool.mutex.unlock(); }

void forget_pool_threads() noexcept {
  pool.work = PTHREAD_COND_INITIALIZER;
  pool.done = PTHREAD_COND_INITIALIZER;
  pool.jobs = nullptr;
  pool.awake = 0;
  pool.asleep = 0;
  pool.count = 0;
  pool.one_is_starting = false;
}

}  // namespace halnorm::HALNORM_ABI::detail
